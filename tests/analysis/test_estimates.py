"""Estimates against values worked by hand, and simulated coverage and error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from general_circuits.analysis import estimates

pytestmark = pytest.mark.filterwarnings("error")


def spread(values: list[float]) -> bool:
    return max(values) - min(values) > 0.01


def test_an_estimate_by_hand() -> None:
    """Mean 3, sd √2.5, standard error √0.5, and 2.776445 the 97.5 % point of t with 4 degrees of freedom."""
    found = estimates.estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(0.5)
    assert (found.mean, found.n) == (3.0, 5)
    assert found.low == pytest.approx(3 - half, abs=1e-6)
    assert found.high == pytest.approx(3 + half, abs=1e-6)
    # With 4 degrees of freedom, P(|T| > t) = 1 − s·(3 − s²)/2 for s = t/√(4 + t²).
    s = (t := 3 / math.sqrt(0.5)) / math.sqrt(4 + t**2)
    assert found.p_value == pytest.approx(1 - s * (3 - s**2) / 2, abs=1e-9)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12).filter(spread), st.floats(-5, 5))
def test_p_is_below_5_percent_exactly_where_the_interval_leaves_the_null_out(values: list[float], null: float) -> None:
    found = estimates.estimate(values, null)
    if abs(found.p_value - 0.05) > 1e-9:
        assert (found.p_value < 0.05) == (not found.low <= null <= found.high)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12).filter(spread), st.floats(-5, 5))
def test_p_is_scipys_one_sample_test(values: list[float], null: float) -> None:
    assert estimates.estimate(values, null).p_value == pytest.approx(
        stats.ttest_1samp(values, null).pvalue, rel=1e-6, abs=1e-12
    )


def test_what_is_not_finite_is_left_out_of_an_estimate() -> None:
    assert estimates.estimate([1.0, np.nan, 2.0, np.inf, 3.0]) == estimates.estimate([1.0, 2.0, 3.0])


def test_too_few_replicas_have_no_interval() -> None:
    none, one = estimates.estimate([]), estimates.estimate([2.0, np.nan])
    assert (none.n, one.n, one.mean) == (0, 1, 2.0)
    assert math.isnan(none.mean)
    assert all(math.isnan(x) for found in (none, one) for x in (found.low, found.high, found.p_value))


def test_equal_replicas_have_an_interval_of_no_width() -> None:
    found = estimates.estimate([0.5, 0.5, 0.5])
    assert (found.mean, found.low, found.high, found.p_value) == (0.5, 0.5, 0.5, 0.0)
    assert estimates.estimate([0.5, 0.5, 0.5], null=0.5).p_value == 1.0


@pytest.mark.parametrize("n", [5, 10])
def test_the_interval_covers_95_percent(n: int) -> None:
    simulations = 4000
    samples = np.random.default_rng(n).normal(0.3, 2.0, size=(simulations, n))
    found = [estimates.estimate(sample) for sample in samples]
    covered = sum(one.low <= 0.3 <= one.high for one in found)
    low, high = stats.binom.interval(0.999, simulations, 0.95)
    assert low <= covered <= high


def test_p_is_uniform_under_the_null() -> None:
    samples = np.random.default_rng(7).normal(1.0, 3.0, size=(2000, 5))
    p_values = [estimates.estimate(sample, null=1.0).p_value for sample in samples]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_benjamini_hochberg_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4/1, 4/2, 4/3, 4/4 are 0.04, 0.04, 0.04, 0.5."""
    assert estimates.benjamini_hochberg([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.04, 0.04])
    # 0.01 · 3 is above 0.011 · 3/2, which is its value then: a smaller p-value has no larger adjusted one.
    assert estimates.benjamini_hochberg([0.01, 0.011, 0.9]) == pytest.approx([0.0165, 0.0165, 0.9])


def test_a_missing_p_value_does_not_count() -> None:
    found = estimates.benjamini_hochberg([0.01, np.nan, 0.02])
    assert found[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(found[1])


def test_missing_p_values_alone_and_none_at_all() -> None:
    assert np.isnan(estimates.benjamini_hochberg([np.nan, np.nan])).all()
    assert len(estimates.benjamini_hochberg([])) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_an_adjusted_p_value_is_never_below_p_nor_above_bonferroni_nor_out_of_order(p_values: list[float]) -> None:
    p = np.array(p_values)
    found = estimates.benjamini_hochberg(p)
    assert (found >= p * (1 - 1e-12)).all()
    assert (found <= np.minimum(1, len(p) * p) * (1 + 1e-12)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert found[order[-1]] == pytest.approx(p[order[-1]])


def test_benjamini_hochberg_keeps_the_false_discovery_rate() -> None:
    """Seven of ten contrasts are null, so the rate of false discoveries is 0.7 of the level exactly."""
    generator, studies = np.random.default_rng(0), 4000
    p_values = generator.uniform(size=(studies, 10))
    p_values[:, 7:] **= 6  # true effects have small p-values
    found = np.array([estimates.benjamini_hochberg(p) < 0.1 for p in p_values])
    share = found[:, :7].sum(axis=1) / np.maximum(1, found.sum(axis=1))
    error = share.std() / np.sqrt(studies)
    assert abs(share.mean() - 0.07) < 3.3 * error
    assert found[:, 7:].mean() > 0.3
