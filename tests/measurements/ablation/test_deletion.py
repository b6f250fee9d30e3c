"""Values of deleted units: zero, means, and the units of donors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import random_examples
from deleting import DELETIONS, a_layer, a_place
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.measurements.ablation.deletion import donors, replacement


def test_replacements_are_zero_or_the_mean_over_training_examples_at_each_position() -> None:
    layer = a_layer(n_layers=2)  # the first of two layers has all three positions
    assert torch.equal(replacement(layer, layer, "zero", 0), torch.zeros(3, 12, dtype=torch.float64))
    mean = replacement(layer, layer, "mean", 0)
    for position in range(3):
        torch.testing.assert_close(mean[position], sum(layer.units[:, position]) / 20)


def test_resampled_units_are_those_of_one_training_example() -> None:
    train = a_layer()
    other = a_place(train.model, random_examples(n=7, seed=1))
    for layer in (train, other):
        rows = torch.arange(20) if layer is train else None
        found = replacement(layer, train, "resample", 3, rows)
        chosen = donors(len(layer.units), 20, None if rows is None else rows.numpy(), 3)
        assert found.shape == layer.units.shape
        for example, donor in enumerate(chosen):
            assert torch.equal(found[example], train.units[donor])


@given(st.integers(2, 60), st.integers(1, 60), st.integers(0, 1000))
def test_no_training_example_is_its_own_donor(n: int, some: int, seed: int) -> None:
    rows = np.arange(n)[-some:]
    found = donors(len(rows), n, rows, seed)
    assert ((found >= 0) & (found < n)).all()
    assert (found != rows).all()
    assert (found == donors(len(rows), n, rows, seed)).all()


def test_every_other_example_is_as_likely_a_donor() -> None:
    found = np.array([donors(4, 4, np.arange(4), seed) for seed in range(3000)])
    for example in range(4):
        counts = np.bincount(found[:, example], minlength=4)
        assert counts[example] == 0
        assert counts[counts > 0] == pytest.approx(1000, abs=150)


def test_a_single_training_example_is_its_own_donor() -> None:
    assert donors(1, 1, np.arange(1), 0).tolist() == [0]


def test_validation_examples_take_any_training_example() -> None:
    found = donors(500, 3, None, 0)
    assert set(found.tolist()) == {0, 1, 2}
    assert (found != donors(500, 3, None, 1)).any()


@pytest.mark.parametrize("deletion", DELETIONS)
def test_a_replacement_leaves_the_layer_as_it_was(deletion: str) -> None:
    layer = a_layer()
    before = layer.units.clone()
    replacement(layer, layer, deletion, 0)
    assert torch.equal(layer.units, before)
