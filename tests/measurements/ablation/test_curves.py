"""Curves over deleted neurons and their summaries in one number, at worked values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deleting import of_lookup_table
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.measurements.ablation.answers import Answers
from general_circuits.measurements.ablation.curves import Curve, area, half_k
from general_circuits.measurements.ablation.nested import Nested
from general_circuits.measurements.ablation.rankings import random_orders

NAN = float("nan")
MATCHED = np.array([1.0, 0.9, 0.8, 0.7, NAN, NAN])


@pytest.mark.parametrize(
    ("ks", "left", "neurons", "expected"),
    [
        ([0, 1, 2, 3, 4], [1.0, 0.9, 0.5, 0.5, 0.5], 8, (0.1 + 0.5) / 2),
        ([0, 1, 2, 3], [1.0, 0.9, 0.5, 0.5], 3, 0.1),  # a quarter of three is none: one is the least
        ([0, 1], [0.6, 0.2], 1, 0.4),
        ([0, 1, 2, 4, 8, 16], [1.0, 0.8, 0.6, 0.4, 0.2, 0.0], 16, (0.2 + 0.4 + 0.5 + 0.6) / 4),  # 3 is between 2 and 4
        ([0, 1, 2, 4, 8, 16], MATCHED, 16, (0.1 + 0.2 + 0.25 + 0.3) / 4),
        ([0, 1, 2, 4, 8, 16], np.where(MATCHED < 0.75, NAN, MATCHED), 16, NAN),
        ([0], [1.0], 0, NAN),
    ],
)
def test_areas_by_hand(ks: list[int], left: list[float], neurons: int, expected: float) -> None:
    assert area(np.array(ks), np.array(left), neurons) == pytest.approx(expected, nan_ok=True)


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 300))
def test_the_area_of_constant_damage_is_that_damage(whole: float, left: float, neurons: int) -> None:
    ks = np.unique([0, 1, max(1, neurons // 4), neurons])
    assert area(ks, np.where(ks == 0, whole, left), neurons) == pytest.approx(whole - left)


@pytest.mark.parametrize(
    ("ks", "accuracy", "expected"),
    [
        ([0, 1, 2, 3], [0.8, 0.6, 0.3, 0.0], 1 + 2 / 3),  # half is 0.4
        ([0, 1, 2, 8], [1.0, 0.9, 0.75, 0.0], 4.0),
        ([0, 1, 2, 3], [1.0, 0.5, 0.9, 0.2], 1.0),  # the first time
        ([0, 1, 2], [1.0, 0.9, 0.8], NAN),
        ([0, 1, 2], [0.0, 0.0, 0.0], NAN),  # there is nothing to fall
        ([0, 1, 2, 4], [1.0, 0.9, NAN, 0.1], NAN),
        ([0, 1, 2, 4], [1.0, 0.3, NAN, NAN], 5 / 7),
        ([0], [1.0], NAN),
    ],
)
def test_half_of_the_accuracy_by_hand(ks: list[int], accuracy: list[float], expected: float) -> None:
    assert half_k(np.array(ks), np.array(accuracy)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("kept", [[0, 1, 6], range(7)])
def test_a_lookup_table_loses_as_many_examples_as_units_in_any_order(kept) -> None:
    layer = of_lookup_table()
    nested = Nested(layer, torch.zeros_like(layer.units[0]), 1.0)
    kept = np.array(kept)
    for order in random_orders(6, 5, seed=0):
        curve = Curve.over(nested.curve(order, kept), None, 2.0, 6)
        columns, summary = curve.columns(), curve.summary()
        np.testing.assert_array_equal(columns["k"], kept)
        np.testing.assert_allclose(columns["accuracy"], 1 - kept / 6)
        np.testing.assert_allclose(columns["margin"], 1 - kept / 6)
        np.testing.assert_allclose(columns["matched_margin"], (1 - kept / 6) / 2)
        assert summary == pytest.approx(
            {"neurons": 6, "area": 1 / 6, "margin_area": 1 / 6, "matched_margin_area": 1 / 12, "half_k": 3.0}
        )


MARGINS = torch.tensor([[1.0, 2.0, -1.0], [-1.0, 2.0, -2.0]])
ANSWERS = Answers(np.array([0, 1]), MARGINS, np.array([0]), torch.tensor([[0.1, 0.2, 0.6]]), torch.ones(1, 3))


def test_means_are_over_the_examples_of_a_group() -> None:
    whole = Curve.over(ANSWERS, None, 4.0, 1)
    np.testing.assert_allclose(whole.accuracy, [2 / 3, 1 / 3])
    np.testing.assert_allclose(whole.loss, [0.3])
    part = Curve.over(ANSWERS, torch.tensor([True, False, True]), 4.0, 1)
    np.testing.assert_allclose(part.accuracy, [0.5, 0.0])
    np.testing.assert_allclose(part.margin, [0.0, -1.5])
    np.testing.assert_allclose(part.loss, [0.35])


def test_an_extended_curve_is_nan_where_nothing_was_measured() -> None:
    curve = Curve.over(ANSWERS, None, 4.0, 3).extended(np.array([0, 1, 3]))
    columns = curve.columns()
    assert columns["k"].tolist() == [0, 1, 3]
    np.testing.assert_allclose(columns["accuracy"], [2 / 3, 1 / 3, NAN])
    np.testing.assert_allclose(columns["loss"], [0.3, NAN, NAN])
