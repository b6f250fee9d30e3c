"""Tables → tensors: which rows, in which order, with whose labels."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from general_circuits.tasks.examples import Examples, by_split
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
    found = by_split(SPLIT, Vocabulary(2, 2, 2), CPU)
    assert list(found) == ["train", "validation"]
    assert found["train"].tokens.tolist() == [[0, 0, 2], [1, 0, 2]]
    assert found["train"].labels.tolist() == [0, 1]
    assert found["validation"].tokens.tolist() == [[0, 1, 2], [1, 1, 2]]
    assert found["validation"].labels.tolist() == [1, 0]


def test_the_order_of_the_splits_rows_does_not_matter():
    expected = by_split(SPLIT, Vocabulary(2, 2, 2), CPU)
    shuffled = by_split(SPLIT.iloc[[2, 0, 3, 1]], Vocabulary(2, 2, 2), CPU)
    for name, examples in expected.items():
        assert torch.equal(shuffled[name].tokens, examples.tokens)
        assert torch.equal(shuffled[name].labels, examples.labels)


def test_a_label_that_is_not_the_target_is_corrupted():
    assert by_split(SPLIT, Vocabulary(2, 2, 2), CPU)["train"].is_corrupted is None
    found = by_split(SPLIT.assign(label=[1, 1, 1, 0]), Vocabulary(2, 2, 2), CPU)
    assert found["train"].is_corrupted.tolist() == [True, False]
    assert found["validation"].is_corrupted is None
    assert found["train"].some(torch.tensor([1])).is_corrupted.tolist() == [False]


def test_more_than_two_inputs_are_spelled_out_too():
    inputs = [[0, 2, 1], [1, 1, 1], [2, 2, 0], [0, 0, 0]]
    found = by_split(SPLIT.drop(columns=["a", "b"]).assign(inputs=inputs), Vocabulary(3, 3, 2), CPU)
    assert found["train"].tokens.tolist() == [[0, 2, 1, 3], [2, 2, 0, 3]]
    assert found["validation"].tokens.tolist() == [[1, 1, 1, 3], [0, 0, 0, 3]]


def test_small_integers_and_categories_from_parquet_give_64_bit_indices():
    whole = dict.fromkeys(["example", "a", "b", "target", "label"], "int32")
    split = SPLIT.astype({**whole, "split": "category"})
    found = by_split(split, Vocabulary(2, 2, 2), CPU)["train"]
    assert found.tokens.dtype == found.labels.dtype == torch.int64
    assert found.tokens.tolist() == [[0, 0, 2], [1, 0, 2]]


def test_some_are_those_at_these_places():
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
