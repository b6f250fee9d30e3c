"""Statistics of a neuron's saliency over examples, at worked values and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.measurements.saliency.order_statistics import neuron_statistics


def statistics_of(columns: list[list[float]]) -> pd.DataFrame:
    """Return statistics of neurons, each given by its saliency on every example."""
    return pd.DataFrame(neuron_statistics(torch.tensor(columns, dtype=torch.float64).T))


def test_statistics_at_worked_values() -> None:
    found = statistics_of([[0, 0, 0, 0, 10], [2, 2, 2, 2, 2], [-3, -1, -2, 4, 0], [0, 0, 0, 0, 0], [-1, 1, -1, 1, -1]])
    expected = {
        "median": [0, 2, -1, 0, -1],
        "median_magnitude": [0, 2, 2, 0, 1],
        "mean_magnitude": [2, 2, 2, 0, 1],
        "q95_magnitude": [8, 2, 3.8, 0, 1],  # at position 0.95 · 4 = 3.8 of the sorted five
        "breadth": [1 / 5, 1, 10**2 / (5 * 30), 0, 1],
    }
    assert list(found) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-12, err_msg=name)


def test_breadth_ignores_scale_and_sign_and_order() -> None:
    unit = [0.5, -1.5, 3.0, 0.0]
    same = statistics_of([unit, [1000 * s for s in unit], [-s for s in unit], unit[::-1]])["breadth"]
    np.testing.assert_allclose(same, same[0])


@pytest.mark.parametrize("shared_by", [1, 3, 8])
def test_breadth_is_the_share_of_examples_a_unit_serves_equally(shared_by: int) -> None:
    unit = [2.0] * shared_by + [0.0] * (8 - shared_by)
    assert statistics_of([unit])["breadth"].item() == pytest.approx(shared_by / 8)


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e30])
def test_breadth_of_the_smallest_and_largest_float32_does_not_vanish(size: float) -> None:
    found = neuron_statistics(torch.full((4, 1), size))
    assert found["breadth"].item() == pytest.approx(1.0)
    assert found["mean_magnitude"].item() == pytest.approx(float(np.float32(size)))


def test_a_diverged_networks_statistics_are_nan_and_not_zero() -> None:
    found = statistics_of([[math.nan, 1.0, 2.0], [1.0, 1.0, 1.0]])
    assert found.iloc[0].isna().all()
    assert found["breadth"][1] == 1


@given(st.integers(1, 300), st.integers(1, 5), st.sampled_from([torch.float32, torch.float64]))
def test_quantiles_are_numpys(n_examples: int, n_neurons: int, dtype: torch.dtype) -> None:
    saliency = torch.randn(n_examples, n_neurons, generator=torch.Generator().manual_seed(n_examples)).to(dtype)
    saliency[saliency < -0.5] = 0.0
    before, values = saliency.clone(), saliency.double().numpy()
    found = neuron_statistics(saliency)
    for name, array, q in (("median", values, 0.5), ("median_magnitude", abs(values), 0.5)):
        np.testing.assert_allclose(found[name], np.quantile(array, q, axis=0), rtol=1e-6, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(found["q95_magnitude"], np.quantile(abs(values), 0.95, axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["mean_magnitude"], abs(values).mean(axis=0), rtol=1e-6)
    squares = (values**2).sum(axis=0)
    breadth = np.where(
        squares == 0, 0, abs(values).sum(axis=0) ** 2 / (n_examples * np.where(squares == 0, 1, squares))
    )
    np.testing.assert_allclose(found["breadth"], breadth, rtol=1e-5)
    assert torch.equal(saliency, before)
