"""Decisions of two one-sided tests: exact values, error rates over the registered looks, and needed replicas."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import fftconvolve

from general_circuits.analysis import decisions
from general_circuits.analysis.decisions import (
    BETWEEN,
    CONTRADICTED,
    LOOKS,
    SUPPORTED,
    UNDECIDED,
    Rule,
    decide,
    least_favourable,
    level_of,
)

pytestmark = pytest.mark.filterwarnings("error")

ABOVE = Rule(0.5, 0.25)
BELOW = Rule(-0.8, -0.2, is_below=True)


def spread_around(mean: float, n: int = 5, spread: float = 0.01) -> np.ndarray:
    """Return values with this mean exactly."""
    return mean + spread * (np.arange(n) - (n - 1) / 2)


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.7, SUPPORTED), (0.1, CONTRADICTED), (0.375, BETWEEN), (0.5, UNDECIDED), (0.25, UNDECIDED)]
)
def test_the_verdict_says_on_which_side_of_both_thresholds_the_mean_is_shown_to_lie(mean: float, verdict: str) -> None:
    assert decide(spread_around(mean), ABOVE).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "verdict"), [(-1.0, SUPPORTED), (0.0, CONTRADICTED), (-0.5, BETWEEN), (-0.8, UNDECIDED)]
)
def test_small_values_support_a_rule_that_says_so(mean: float, verdict: str) -> None:
    assert decide(spread_around(mean), BELOW).verdict == verdict


def test_one_threshold_leaves_nothing_between() -> None:
    sign = Rule(0.0, 0.0)
    verdicts = [decide(spread_around(mean), sign).verdict for mean in (0.1, -0.1, 0.001)]
    assert verdicts == [SUPPORTED, CONTRADICTED, UNDECIDED]


def test_thresholds_that_could_both_be_passed_are_refused() -> None:
    with pytest.raises(ValueError, match="support and contradict at once"):
        Rule(0.25, 0.5)
    with pytest.raises(ValueError, match="support and contradict at once"):
        Rule(-0.2, -0.8, is_below=True)


def test_a_decision_by_hand() -> None:
    """Mean 3, standard error √0.5; with 4 degrees of freedom P(T > t) = (1 − s (3 − s²) / 2) / 2, s = t / √(4 + t²)."""
    decision = decide([1.0, 2.0, 3.0, 4.0, 5.0], Rule(1.0, 0.5))
    for p, threshold in ((decision.p_supported, 1.0), (1 - decision.p_contradicted, 0.5)):
        t = (3 - threshold) / math.sqrt(0.5)
        s = t / math.sqrt(4 + t**2)
        assert p == pytest.approx((1 - s * (3 - s**2) / 2) / 2, abs=1e-9)
    half = stats.t.isf(LOOKS[5], 4) * math.sqrt(0.5)
    assert (decision.estimate.low, decision.estimate.high) == pytest.approx((3 - half, 3 + half))
    assert math.isnan(decision.estimate.p_value)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=12), st.floats(-2, 2), st.floats(0, 2))
def test_a_mirrored_rule_judges_mirrored_values_alike(values: list[float], supported: float, gap: float) -> None:
    one = decide(values, Rule(supported, supported - gap))
    other = decide([-value for value in values], Rule(-supported, gap - supported, is_below=True))
    assert one.verdict == other.verdict
    assert one.p_supported == pytest.approx(other.p_supported, nan_ok=True)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=12))
def test_the_interval_and_the_two_tests_say_the_same(values: list[float]) -> None:
    decision = decide(values, ABOVE)
    level = level_of(len(values))
    if decision.verdict in (SUPPORTED, CONTRADICTED):
        assert min(decision.p_supported, decision.p_contradicted) <= level * (1 + 1e-6)
        assert decision.estimate.low > 0.5 or decision.estimate.high < 0.25
    else:
        assert min(decision.p_supported, decision.p_contradicted) >= level * (1 - 1e-6)


def test_a_replica_without_a_value_counts_for_the_look_but_not_for_the_mean() -> None:
    values = [*spread_around(0.7, 4), np.nan, np.nan, np.nan, np.nan]
    decision = decide(values, ABOVE)
    assert decision.estimate.n == 4
    half = stats.t.isf(LOOKS[8], 3) * np.std(values[:4], ddof=1) / 2
    assert decision.estimate.high - decision.estimate.mean == pytest.approx(half)


@pytest.mark.parametrize("values", [[], [0.9], [0.9, 0.9], [0.9, 0.91, np.nan, np.nan, np.nan]])
def test_fewer_than_three_replicas_decide_nothing(values: list[float]) -> None:
    assert decide(values, ABOVE).verdict == UNDECIDED


def test_equal_replicas_decide_where_they_lie_beyond_a_threshold() -> None:
    assert decide([0.6] * 5, ABOVE).verdict == SUPPORTED
    assert decide([0.6] * 5, ABOVE).p_supported == 0.0
    assert decide([0.5] * 5, ABOVE).verdict == UNDECIDED


# Looks.


def test_levels_are_those_of_pococks_spending_function() -> None:
    """The joint distribution of the scores at all looks, integrated look by look."""
    times = np.array(list(LOOKS)) / 20
    spent = 0.025 * np.log(1 + (math.e - 1) * times)
    grid = np.linspace(-8, 8, 8001)
    width = grid[1] - grid[0]
    bound = stats.norm.isf(spent[0]) * math.sqrt(times[0])
    levels = [spent[0]]
    density = np.where(grid < bound, stats.norm.pdf(grid, scale=math.sqrt(times[0])), 0)
    for (before, time), (spent_before, now) in zip(pairwise(times), pairwise(spent), strict=True):
        density = fftconvolve(density, stats.norm.pdf(grid, scale=math.sqrt(time - before)), "same") * width
        tail = np.cumsum(density[::-1])[::-1] * width
        bound = float(np.interp(now - spent_before, tail[::-1], grid[::-1]))
        levels.append(stats.norm.sf(bound / math.sqrt(time)))
        density = np.where(grid < bound, density, 0)
    assert levels == pytest.approx(list(LOOKS.values()), abs=5e-5)


def test_looking_at_every_look_decides_wrongly_in_one_direction_in_about_2_5_percent() -> None:
    """The levels are of normal means. With Student's t at these small numbers the rate is 2.7 %."""
    values = np.random.default_rng(0).standard_normal((200_000, 20))
    is_decided = np.zeros(len(values), bool)
    for look, level in LOOKS.items():
        seen = values[:, :look]
        t = seen.mean(axis=1) / (seen.std(axis=1, ddof=1) / math.sqrt(look))
        is_decided |= t > stats.t.isf(level, look - 1)
    assert 0.025 < is_decided.mean() < 0.0285


@pytest.mark.parametrize(("replicas", "look"), [(2, 5), (5, 5), (7, 5), (8, 8), (10, 8), (12, 12), (20, 20), (40, 20)])
def test_a_number_of_replicas_has_the_level_of_the_last_look_that_it_reached(replicas: int, look: int) -> None:
    assert level_of(replicas) == LOOKS[look]


# Replicas that would decide.


@pytest.mark.parametrize("mean", [0.6, 0.15, 0.375])
def test_the_needed_replicas_decide_in_about_80_percent_of_studies(mean: float) -> None:
    spread = 0.35 if mean != 0.375 else 0.12
    unit = np.array([-1.2, -0.6, 0.0, 0.6, 1.2])
    decision = decide(mean + spread * unit / unit.std(ddof=1), ABOVE)
    assert decision.verdict == UNDECIDED
    again = np.random.default_rng(1).normal(mean, spread, size=(1000, decision.needed))
    decided = np.mean([decide(values, ABOVE).verdict != UNDECIDED for values in again])
    # Two tests must both succeed for "between", so its power is somewhat smaller.
    assert (0.55 if mean == 0.375 else 0.75) < decided < 0.88


def test_a_mean_at_a_threshold_needs_more_replicas_than_are_looked_for() -> None:
    assert decide(spread_around(0.5), ABOVE).needed == 0
    assert decide(spread_around(0.7), ABOVE).needed == 0  # decided


# Families of controls.


def test_a_claim_is_supported_only_beyond_every_control() -> None:
    decision = least_favourable({"one": spread_around(0.7), "other": spread_around(0.6)}, ABOVE)
    assert (decision.verdict, decision.contrast) == (SUPPORTED, "other")
    decision = least_favourable({"one": spread_around(0.7), "other": spread_around(0.5)}, ABOVE)
    assert (decision.verdict, decision.contrast) == (UNDECIDED, "other")


def test_a_claim_that_fails_beyond_one_control_is_contradicted() -> None:
    decision = least_favourable({"one": spread_around(0.7), "other": spread_around(0.1)}, ABOVE)
    assert (decision.verdict, decision.contrast) == (CONTRADICTED, "other")
    decision = least_favourable({"one": spread_around(0.7), "other": spread_around(0.375)}, ABOVE)
    assert (decision.verdict, decision.contrast) == (BETWEEN, "other")


def test_one_contrast_is_its_own_family() -> None:
    for mean in (0.7, 0.1, 0.375, 0.5):
        values = spread_around(mean)
        assert least_favourable({"one": values}, ABOVE).verdict == decide(values, ABOVE).verdict


def test_a_control_with_too_few_replicas_leaves_the_family_undecided() -> None:
    decision = least_favourable({"one": spread_around(0.7), "other": [np.nan] * 5}, ABOVE)
    assert (decision.verdict, decision.contrast) == (UNDECIDED, "other")


def test_families_decide_wrongly_no_more_often_than_one_contrast() -> None:
    """Three independent controls: at the threshold of contradiction all three, or at that of support only one."""
    generator = np.random.default_rng(2)
    wrong = {CONTRADICTED: 0, SUPPORTED: 0}
    studies = 1500
    for values in generator.normal(0.25, 0.1, size=(studies, 3, 5)):
        wrong[CONTRADICTED] += least_favourable(dict(enumerate(values)), ABOVE).verdict == CONTRADICTED  # type: ignore[arg-type]
    for values in generator.normal([[[0.5], [0.9], [0.9]]], 0.1, size=(studies, 3, 5)):
        wrong[SUPPORTED] += least_favourable(dict(enumerate(values)), ABOVE).verdict == SUPPORTED  # type: ignore[arg-type]
    for verdict in wrong:
        assert wrong[verdict] <= stats.binom.isf(1e-3, studies, decisions.LOOKS[5])
