"""Split tables as tensors: rows, their order, and their labels."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from general_circuits.tasks.examples import Examples, by_split, is_mirrored
from general_circuits.tasks.vocabulary import Vocabulary

CPU = torch.device("cpu")
SPLIT = pd.DataFrame(
    {
        "example": [0, 1, 2, 3],
        "a": [0, 0, 1, 1],
        "b": [0, 1, 0, 1],
        "split": ["train", "validation", "train", "validation"],
        "target": [0, 1, 1, 0],
        "label": [0, 1, 1, 0],
    }
)


def test_tokens_spell_a_b_equals_and_rows_keep_the_tables_order():
    splits = by_split(SPLIT, Vocabulary(2, 2, 2), CPU)
    assert list(splits) == ["train", "validation"]
    assert splits["train"].tokens.tolist() == [[0, 0, 2], [1, 0, 2]]
    assert splits["train"].labels.tolist() == [0, 1]
    assert splits["validation"].tokens.tolist() == [[0, 1, 2], [1, 1, 2]]
    assert splits["validation"].labels.tolist() == [1, 0]


def test_the_order_of_the_splits_rows_does_not_matter():
    expected = by_split(SPLIT, Vocabulary(2, 2, 2), CPU)
    shuffled = by_split(SPLIT.iloc[[2, 0, 3, 1]], Vocabulary(2, 2, 2), CPU)
    for name, examples in expected.items():
        assert torch.equal(shuffled[name].tokens, examples.tokens)
        assert torch.equal(shuffled[name].labels, examples.labels)


def test_a_label_that_is_not_the_target_is_corrupted():
    assert by_split(SPLIT, Vocabulary(2, 2, 2), CPU)["train"].is_corrupted is None
    splits = by_split(SPLIT.assign(label=[1, 1, 1, 0]), Vocabulary(2, 2, 2), CPU)
    assert splits["train"].is_corrupted.tolist() == [True, False]
    assert splits["validation"].is_corrupted is None
    assert splits["train"].some(torch.tensor([1])).is_corrupted.tolist() == [False]


def test_more_than_two_inputs_are_spelled_out_too():
    inputs = [[0, 2, 1], [1, 1, 1], [2, 2, 0], [0, 0, 0]]
    splits = by_split(SPLIT.drop(columns=["a", "b"]).assign(inputs=inputs), Vocabulary(3, 3, 2), CPU)
    assert splits["train"].tokens.tolist() == [[0, 2, 1, 3], [2, 2, 0, 3]]
    assert splits["validation"].tokens.tolist() == [[1, 1, 1, 3], [0, 0, 0, 3]]


def test_small_integers_and_categories_from_parquet_give_64_bit_indices():
    integers = dict.fromkeys(["example", "a", "b", "target", "label"], "int32")
    split = SPLIT.astype({**integers, "split": "category"})
    train = by_split(split, Vocabulary(2, 2, 2), CPU)["train"]
    assert train.tokens.dtype == train.labels.dtype == torch.int64
    assert train.tokens.tolist() == [[0, 0, 2], [1, 0, 2]]


def test_some_examples_are_taken_by_their_places():
    examples = Examples(torch.arange(12).view(4, 3), torch.tensor([10, 11, 12, 13]))
    kept = examples.some(torch.tensor([3, 1]))
    assert kept.labels.tolist() == [13, 11]
    assert kept.tokens[:, 0].tolist() == [9, 3]


@pytest.mark.parametrize(("n", "expected"), [(0, 40), (7, 7), (40, 40), (99, 40)])
def test_examples_are_drawn_without_replacement_and_once_per_replica(n, expected):
    examples = Examples(torch.zeros(40, 3), torch.zeros(40))
    drawn = examples.drawn(n, replica=5)
    assert len(drawn) == len(set(drawn.tolist())) == expected
    assert torch.equal(drawn, drawn.sort().values)
    assert torch.equal(drawn, examples.drawn(n, replica=5))
    assert torch.equal(drawn, examples.drawn(n, replica=6)) == (expected == 40)


def test_an_example_is_mirrored_if_its_operands_are_there_the_other_way_round():
    some = torch.tensor([[0, 1, 5], [1, 0, 5], [3, 3, 5], [4, 4, 5]])
    others = torch.tensor([[1, 0, 5], [2, 4, 5], [3, 3, 5]])
    assert is_mirrored(some, others).tolist() == [True, False, True, False]


def test_examples_of_three_inputs_have_no_mirror_images():
    some = torch.tensor([[0, 1, 1, 2], [1, 1, 0, 2]])
    assert is_mirrored(some, some.flip(0)).tolist() == [False, False]
