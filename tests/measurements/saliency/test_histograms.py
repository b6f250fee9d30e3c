"""Shapes of hand-made histograms, with and without dead units, and the flag on degenerate ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from general_circuits.measurements.saliency import histograms

pytestmark = pytest.mark.filterwarnings("error")


def saliency(values: list[float], alive: list[bool] | None = None, **key: object) -> pd.DataFrame:
    """Build a saliency table with one histogram: every statistic of the neurons has these values."""
    names = {"condition": "grokking", "replica": 0, "step": 0, "split": "train", "layer": 0, **key}
    return pd.DataFrame(
        {
            **names,
            "site": "mlp",
            "method": "activation_gradient",
            "target": "right_minus_mean",
            "normalisation": "raw",
            "neuron": range(len(values)),
            **dict.fromkeys(histograms.STATISTICS, values),
            "alive": [True] * len(values) if alive is None else alive,
        }
    )


def described(values: list[float], alive: list[bool] | None = None, dead_units: str = "included") -> pd.Series:
    """Return the measures of one histogram of mean magnitudes."""
    found = histograms.describe(saliency(values, alive))
    rows = found[(found["statistic"] == "mean_magnitude") & (found["dead_units"] == dead_units)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_measures_of_shape_at_worked_values() -> None:
    """Values 1, 2, 4 have mean 7/3, m₂ = 14/9, m₃ = 20/27 and λ₃/λ₂ = 1/3. Their 9 pairs have Σ|xᵢ − xⱼ| = 12."""
    found = described([1.0, 2.0, 4.0])
    assert found["neurons"] == 3
    assert found["zero_fraction"] == 0
    assert found["l_skewness"] == pytest.approx(1 / 3)
    assert found["gini"] == pytest.approx((12 / 9) / (2 * 7 / 3))
    assert found["moment_skewness"] == pytest.approx((20 / 27) / (14 / 9) ** 1.5)
    assert not found["degenerate"]


def test_dead_units_are_left_out_only_where_excluded() -> None:
    values, alive = [0.0, 1.0, 0.0, 2.0, 4.0], [False, True, False, True, True]
    without, within = described(values, alive, "excluded"), described(values, alive, "included")
    assert (without["neurons"], within["neurons"]) == (3, 5)
    assert (without["zero_fraction"], within["zero_fraction"]) == (0, 0.4)
    assert without["l_skewness"] == pytest.approx(described([1.0, 2.0, 4.0])["l_skewness"])
    assert within["l_skewness"] > without["l_skewness"]


def test_a_unit_is_dead_if_it_never_fires_not_if_it_has_no_saliency() -> None:
    assert described([0.0, 1.0, 3.0, 4.0], [True] * 4, "excluded")["neurons"] == 4


@pytest.mark.parametrize(
    ("values", "degenerate"),
    [
        ([0.0, 0.0, 0.0, 1.0, 2.0], True),  # 3 of 5
        ([0.0, 0.0, 1.0, 2.0], False),  # exactly half
        ([0.0, 0.0, 1.0, 2.0, 3.0], False),
        ([2.0] * 6, True),
        ([0.0] * 6, True),
        ([1.0, 2.0], True),  # two points have no third moment
        ([1.0, 2.0, math.nan], True),
        ([1.0, 2.0, math.inf], True),
    ],
)
def test_a_shape_without_meaning_is_flagged_as_degenerate(values: list[float], degenerate: bool) -> None:
    assert described(values)["degenerate"] == degenerate


def test_almost_zero_is_not_zero() -> None:
    assert described([1e-30, 2e-30, 0.0, 4e-30])["zero_fraction"] == 0.25


def test_a_layer_that_is_all_dead_is_described_as_empty() -> None:
    found = described([0.0, 0.0, 0.0], [False] * 3, "excluded")
    assert found["neurons"] == 0
    assert found["degenerate"]
    assert all(math.isnan(found[name]) for name in ("zero_fraction", "l_skewness", "moment_skewness", "gini"))


def test_signed_values_have_skewness_but_no_gini() -> None:
    found = described([-3.0, 0.5, 1.0])
    assert math.isnan(found["gini"])
    assert found["l_skewness"] < 0


def test_one_row_per_histogram_statistic_and_treatment_of_dead_units() -> None:
    parts = [saliency([1.0, 2.0, 4.0], step=step, split=split) for step in (0, 10) for split in ("train", "validation")]
    found = histograms.describe(pd.concat(parts))
    assert len(found) == 4 * 5 * 2
    key = [*histograms.PLACE, *histograms.ATTRIBUTION, "statistic", "dead_units"]
    assert not found.duplicated(key).any()
    assert set(found["statistic"]) == {"median", "median_magnitude", "mean_magnitude", "q95_magnitude", "breadth"}


def test_each_statistic_is_described_by_its_own_values() -> None:
    frame = saliency([1.0, 2.0, 4.0]).assign(breadth=[4.0, 3.0, 1.0])
    found = histograms.describe(frame).set_index(["statistic", "dead_units"])["l_skewness"]
    assert found["mean_magnitude", "included"] == pytest.approx(1 / 3)
    assert found["breadth", "included"] < 0


def test_growing_logits_change_no_measure_of_shape() -> None:
    plain, grown = (histograms.measures(np.array([[0.5, 1.0, 2.5, 7.0]]) * scale) for scale in (1, 40))
    assert grown.pop("median") == pytest.approx(40 * plain.pop("median"))
    for name, value in plain.items():
        np.testing.assert_allclose(grown[name], value, err_msg=name)
