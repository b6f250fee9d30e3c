"""Numbers of training and validation examples, worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
from builders import split_settings

from general_circuits.tasks.bits import Boolean
from general_circuits.tasks.counts import counts
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Split, Task
from general_circuits.tasks.splits import SplitError
from general_circuits.tasks.vocabulary import Vocabulary

ADDITION = Modular(("x+y",), 7)
"""49 examples: 7 with a = b, and 21 pairs of two."""
DIVISION = Modular(("x/y",), 5)
"""20 examples, since y is never 0. 8 have no partner: 4 with a = b and 4 with a = 0. The others are 6 pairs of two."""


@pytest.mark.parametrize(
    ("task", "split", "n_training", "n_validation"),
    [
        # By example: half of 49 is 24.5, and halves are rounded up.
        (ADDITION, split_settings(0.5, "example"), 25, 24),
        # By pair: half of 7 is 3.5, and half of 21 is 10.5. Both are rounded up.
        (ADDITION, split_settings(0.5, "pair"), 4 + 2 * 11, 3 + 2 * 10),
        (ADDITION, split_settings(0.3, "example"), 15, 34),  # 14.7
        (ADDITION, split_settings(0.3, "pair"), 2 + 2 * 6, 5 + 2 * 15),  # 2.1 and 6.3
        (DIVISION, split_settings(0.6, "example"), 12, 8),
        (DIVISION, split_settings(0.6, "pair"), 5 + 2 * 4, 3 + 2 * 2),  # 4.8 and 3.6
        # A number of examples is kept exactly.
        (ADDITION, split_settings(30, "example"), 30, 19),
        (ADDITION, split_settings(30, "pair"), 30, 19),
        # 2³ inputs of three bits have no pairs.
        (Boolean(3, "majority"), split_settings(0.5, "pair"), 4, 4),
    ],
)
def test_examples_of_both_splits_are_counted_exactly(
    task: Task, split: Split, n_training: int, n_validation: int
) -> None:
    own = counts(task, split)
    assert (own.n_training, own.n_validation) == (n_training, n_validation)
    assert own.n_examples == n_training + n_validation


@pytest.mark.parametrize(
    ("task", "vocabulary"),
    [
        (ADDITION, Vocabulary(2, 7, 7)),
        (DIVISION, Vocabulary(2, 5, 5)),
        (Boolean(3, "majority"), Vocabulary(3, 2, 2)),
    ],
)
def test_the_vocabulary_is_that_of_the_task(task: Task, vocabulary: Vocabulary) -> None:
    assert counts(task, split_settings()).vocabulary == vocabulary


def test_wrong_labels_and_seeds_change_no_count() -> None:
    usual = split_settings(0.6, "pair")
    noisy = dataclasses.replace(usual, label_noise=1.0, split_seed=5, label_seed=6)
    assert counts(ADDITION, usual) == counts(ADDITION, noisy)


def test_more_training_examples_than_there_are_is_refused() -> None:
    assert counts(ADDITION, split_settings(49, "pair")).n_validation == 0
    with pytest.raises(SplitError):
        counts(ADDITION, split_settings(50, "pair"))
