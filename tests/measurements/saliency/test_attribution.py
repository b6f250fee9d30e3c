"""Completeness of an attribution and relative errors, at worked values."""

from __future__ import annotations

import pytest
import torch
from saliency_builders import a_layer

from general_circuits.measurements.saliency.attribution import Attribution, relative_error, zero_baseline
from general_circuits.models.network import Place


def test_completeness_error_at_worked_values():
    explained = torch.tensor([4.0, -1.0, 8.0])  # mean size 13/3
    exact = torch.tensor([[4.0, 0.0], [-1.0, 0.0], [0.0, 8.0]])
    assert Attribution(exact, explained).completeness_error == 0
    off = exact + torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, -1.0]])  # off by 1, −1, 0
    assert Attribution(off, explained).completeness_error == pytest.approx((2 / 3) / (13 / 3))
    assert Attribution(torch.zeros(3, 2), torch.zeros(3)).completeness_error == 0


def test_relative_error_at_worked_values() -> None:
    """The errors are 1 and 0, so 1/2 on average. The expected sizes are 1 and 3, so 2 on average."""
    assert relative_error(torch.tensor([2.0, -3.0]), torch.tensor([1.0, -3.0])) == pytest.approx(0.25)
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    assert relative_error(torch.ones(2), torch.zeros(2)) > 1e30  # anything is infinitely far from nothing


@pytest.mark.parametrize(("place", "shape"), [(Place(0), (1, 12)), (Place(0, "heads"), (1, 8))])
def test_the_zero_baseline_has_a_zero_for_every_unit_at_every_position(place: Place, shape: tuple[int, int]) -> None:
    baseline = zero_baseline(a_layer(place))
    assert baseline.shape == shape
    assert not baseline.any()
