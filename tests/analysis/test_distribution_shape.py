"""Statistics against values worked by hand, and exact results for known distributions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from general_circuits.analysis import distribution_shape

pytestmark = pytest.mark.filterwarnings("error")

Measure = Callable[[ArrayLike], float]
VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=4, max_size=30)


def spread(values: list[float]) -> bool:
    return max(values) - min(values) > 0.01


def test_moment_skewness_of_a_known_sample() -> None:
    """0, 0, 0, 4: mean 1, m₂ = 3, m₃ = 6, so 6 / 3^1.5."""
    assert distribution_shape.moment_skewness([0.0, 0.0, 0.0, 4.0]) == pytest.approx(6 / 3**1.5)


def test_l_skewness_of_a_known_sample() -> None:
    """0, 0, 0, 4: all of b₀, b₁, b₂ are 1. So λ₂ = 2·1 − 1 = 1 and λ₃ = 6 − 6 + 1 = 1."""
    assert distribution_shape.l_skewness([0.0, 0.0, 0.0, 4.0]) == pytest.approx(1.0)


def test_l_skewness_of_another_known_sample() -> None:
    """1, 2, 4: b₀ = 7/3, b₁ = (0·1 + 1·2 + 2·4)/2/3 = 5/3, b₂ = 4/3; λ₂ = 1, λ₃ = 8 − 10 + 7/3 = 1/3."""
    assert distribution_shape.l_skewness([4.0, 1.0, 2.0]) == pytest.approx(1 / 3)


def test_l_skewness_of_known_distributions() -> None:
    generator = np.random.default_rng(0)
    n = 200_000
    for sample, exact in (
        (generator.exponential(size=n), 1 / 3),
        (generator.uniform(size=n), 0.0),
        (generator.normal(size=n), 0.0),
        (generator.gumbel(size=n), math.log(9 / 8) / math.log(2)),
    ):
        assert distribution_shape.l_skewness(sample) == pytest.approx(exact, abs=0.005)


@given(VALUES.filter(spread))
def test_symmetric_values_have_no_skewness(values: list[float]) -> None:
    both = [*values, *(-x for x in values)]
    assert distribution_shape.l_skewness(both) == pytest.approx(0, abs=1e-9)
    assert distribution_shape.moment_skewness(both) == pytest.approx(0, abs=1e-9)
    assert distribution_shape.quantile_skewness([*both, 1000.0, -1000.0]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    "measure", [distribution_shape.l_skewness, distribution_shape.moment_skewness, distribution_shape.quantile_skewness]
)
@given(values=VALUES.filter(spread), shift=st.floats(-50, 50), scale=st.floats(0.1, 50))
def test_skewness_ignores_shift_and_scale_and_changes_sign_in_a_mirror(
    measure: Measure, values: list[float], shift: float, scale: float
) -> None:
    array = np.array(values)
    plain = measure(array)
    if math.isnan(plain) or np.ptp(np.quantile(array, [0.1, 0.9])) < 1e-3:
        return
    assert measure(shift + scale * array) == pytest.approx(plain, abs=1e-6)
    assert measure(-array) == pytest.approx(-plain, abs=1e-6)


@given(VALUES.filter(spread))
def test_l_and_quantile_skewness_stay_within_one(values: list[float]) -> None:
    assert abs(distribution_shape.l_skewness(values)) <= 1 + 1e-9
    assert not abs(distribution_shape.quantile_skewness(values)) > 1 + 1e-9


def test_quantile_skewness_by_hand() -> None:
    """0 … 10 squared: quantiles 1, 25 and 81, so (81 + 1 − 50) / 80."""
    assert distribution_shape.quantile_skewness(np.arange(11.0) ** 2) == pytest.approx(32 / 80)


def test_quantile_skewness_has_no_value_where_its_quantiles_agree() -> None:
    assert math.isnan(distribution_shape.quantile_skewness([0.0] * 20 + [1.0]))


@pytest.mark.parametrize(
    "measure", [distribution_shape.l_skewness, distribution_shape.moment_skewness, distribution_shape.quantile_skewness]
)
@pytest.mark.parametrize("values", [[], [1.0], [2.0] * 7, [0.0] * 7, [1.0, np.nan, 3.0], [1.0, np.inf, 3.0, 4.0]])
def test_no_spread_no_skewness(measure: Measure, values: list[float]) -> None:
    assert math.isnan(measure(values))


def test_rounding_is_no_spread() -> None:
    noisy = 0.1 + np.array([0, 1, 0, 2, 0]) * 1e-17
    assert math.isnan(distribution_shape.l_skewness(noisy))


@given(st.integers(1, 40), st.floats(0.01, 100))
def test_gini_of_equal_shares_is_0_and_of_one_owner_the_most(n: int, value: float) -> None:
    assert distribution_shape.gini([value] * n) == pytest.approx(0, abs=1e-12)
    assert distribution_shape.gini([0.0] * (n - 1) + [value]) == pytest.approx(1 - 1 / n)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=20).filter(lambda v: sum(v) > 1))
def test_gini_is_half_the_relative_mean_difference(values: list[float]) -> None:
    array = np.array(values)
    mean_difference = np.abs(array[:, None] - array[None]).mean()
    assert distribution_shape.gini(array) == pytest.approx(mean_difference / (2 * array.mean()), abs=1e-9)


def test_gini_by_hand() -> None:
    """1, 2, 3: mean |difference| over the 9 pairs is 8/9, mean 2."""
    assert distribution_shape.gini([3.0, 1.0, 2.0]) == pytest.approx(8 / 36)


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_gini_has_no_value_where_shares_mean_nothing(values: list[float]) -> None:
    assert math.isnan(distribution_shape.gini(values))
