"""Decisions from replicas: two registered thresholds, two one-sided tests, and registered looks at the data.

A rule has two thresholds. The claim is supported where the mean is shown to lie beyond the first. It is contradicted
where the mean is shown to lie beyond the second, and *between* where it is shown to lie between both. Each of these is
a one-sided Student's t test over replicas (Schuirmann 1987 on two one-sided tests), so the interval alone decides.

A study may be looked at with 5, 8, 12 and 20 replicas, and continued where a claim is undecided. Looking several times
gives chance several tries. So each look has a smaller level, by alpha spending (Lan and DeMets 1983) with Pocock's
spending function. Over all four looks, a wrong decision in one direction has a probability of 2.5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtr, stdtrit

from general_circuits.analysis.estimates import Array, Estimate

SUPPORTED, CONTRADICTED, BETWEEN, UNDECIDED = "supported", "contradicted", "between", "undecided"

LOOKS: Mapping[int, float] = {5: 0.00893, 8: 0.00686, 12: 0.00794, 20: 0.01127}
"""One-sided level of each registered look, by the number of replicas.

Pocock's function spends 0.025 ln(1 + (e − 1) n / 20) up to n replicas. The levels follow from the joint distribution of
the means at all looks, and are used as levels of t tests. A test computes both anew.
"""

ENOUGH_REPLICAS = 3
"""Least number of replicas that can decide a claim."""

POWER, MOST_REPLICAS = 0.8, 1000
"""Power with which a number of replicas is said to decide a claim, and the largest number that is looked for."""


def level_of(replicas: int) -> float:
    """Return the one-sided level of a study with this many replicas: the level of the last look that it has reached."""
    reached = [level for look, level in LOOKS.items() if look <= replicas]
    return reached[-1] if reached else LOOKS[min(LOOKS)]


@dataclass(frozen=True)
class Rule:
    """Two thresholds of a mean.

    Attributes:
        supported: the claim is supported beyond this threshold.
        contradicted: the claim is contradicted beyond this threshold, on its other side. It may be the same number.
        is_below: whether small values support the claim.
    """

    supported: float
    contradicted: float
    is_below: bool = False

    def __post_init__(self) -> None:
        if self.side * self.contradicted > self.side * self.supported:
            raise ValueError(f"{self}: a mean could support and contradict at once")

    @property
    def side(self) -> int:
        """1 where large values support, −1 where small values do."""
        return -1 if self.is_below else 1


@dataclass(frozen=True)
class Decision:
    """A verdict on the mean of replicas.

    Attributes:
        rule: thresholds that decided.
        values: value of each replica, NaN where it has none, (replica).
        estimate: mean and interval. The interval's level is that of the look; its p-value is NaN.
        verdict: supported, contradicted, between or undecided.
        p_supported: one-sided p-value against a mean at the threshold of support, or short of it.
        p_contradicted: one-sided p-value against a mean at the threshold of contradiction, or short of it.
        needed: number of replicas that would decide with a probability of 80 %, if mean and spread stayed as they are.
            It is 0 where the verdict is decided, where fewer than two replicas have a value, and where over a thousand
            would be needed.
        contrast: name of the contrast that decided, where several were compared.
    """

    rule: Rule
    values: Array
    estimate: Estimate
    verdict: str
    p_supported: float
    p_contradicted: float
    needed: int = 0
    contrast: str = ""


def decide(values: ArrayLike, rule: Rule, level: float | None = None) -> Decision:
    """Judge the mean over replicas by a rule.

    Args:
        values: (replica). A replica without a value is NaN. It counts for the look, since it was trained.
        rule: thresholds.
        level: one-sided level of the tests; None for the level of the look.
    """
    array = np.asarray(values, dtype=np.float64)
    known = array[np.isfinite(array)]
    n, alpha = len(known), level_of(len(array)) if level is None else level
    if n < 2:
        nan = float("nan")
        result = Estimate(float(known.mean()) if n else nan, nan, nan, nan, n)
        return Decision(rule, array, result, UNDECIDED, nan, nan)
    mean, error = float(known.mean()), float(known.std(ddof=1) / np.sqrt(n))
    half = float(stdtrit(n - 1, 1 - alpha)) * error
    result = Estimate(mean, mean - half, mean + half, float("nan"), n)
    supports, contradicts = rule.side * (mean - rule.supported), rule.side * (rule.contradicted - mean)
    verdict = UNDECIDED
    if n >= ENOUGH_REPLICAS:
        if supports > half:
            verdict = SUPPORTED
        elif contradicts > half:
            verdict = CONTRADICTED
        elif min(-supports, -contradicts) > half:
            verdict = BETWEEN
    needed = _needed(supports, contradicts, error * np.sqrt(n), len(array)) if verdict == UNDECIDED else 0
    return Decision(rule, array, result, verdict, _p(supports, error, n), _p(contradicts, error, n), needed)


def _p(excess: float, error: float, n: int) -> float:
    """Return the one-sided p-value of a mean that exceeds a threshold by `excess`."""
    if error == 0:  # equal replicas
        return 0.0 if excess > 0 else 1.0
    return float(stdtr(n - 1, -excess / error))


def _needed(supports: float, contradicts: float, spread: float, replicas: int) -> int:
    """Return the number of replicas that would decide; 0 if it is not up to `MOST_REPLICAS`.

    Args:
        supports, contradicts: how far the mean lies beyond either threshold; both are negative in between.
        spread: standard deviation over replicas.
        replicas: number of replicas so far.
    """
    to_decide = max(supports, contradicts, min(-supports, -contradicts))
    more = max(replicas + 1 - ENOUGH_REPLICAS, 0)
    decides = np.flatnonzero(to_decide >= _spreads()[more:] * spread)
    return ENOUGH_REPLICAS + more + int(decides[0]) if len(decides) else 0


@cache
def _spreads() -> Array:
    """Return how many spreads a mean must lie beyond a threshold, for each number of replicas up to the largest."""
    n = np.arange(ENOUGH_REPLICAS, MOST_REPLICAS + 1)
    levels = np.array([level_of(int(replicas)) for replicas in n])
    spreads: Array = (stdtrit(n - 1, 1 - levels) + ndtri(POWER)) / np.sqrt(n)
    return spreads


def least_favourable(contrasts: Mapping[str, ArrayLike], rule: Rule) -> Decision:
    """Judge a claim that must hold in each of several contrasts, such as beyond each control of a family.

    It is supported if it is so in each contrast (an intersection–union test, Berger 1982, which needs no adjustment).
    It is contradicted, or below the threshold of support, if it is so in any contrast, at a level divided by their
    number (Bonferroni). The contrast shown is the one with the largest p-value of support.

    Args:
        contrasts: values (replica) by the name of the contrast; at least one.
        rule: thresholds, the same for every contrast.
    """
    each = {name: decide(values, rule) for name, values in contrasts.items()}
    strict = {
        name: decide(values, rule, level_of(len(np.asarray(values))) / len(contrasts))
        for name, values in contrasts.items()
    }
    # A contrast without a p-value has too few replicas. It comes first, because nothing is known in it.
    shown = max(each, key=lambda name: np.nan_to_num(each[name].p_supported, nan=2.0))
    enough = all(decision.estimate.n >= ENOUGH_REPLICAS for decision in each.values())
    is_beyond = [decision.verdict == SUPPORTED for decision in each.values()]
    is_not_contradicted = [
        rule.side * (_end(decision, -rule.side) - rule.contradicted) > 0 for decision in each.values()
    ]
    is_short = [rule.side * (rule.supported - _end(decision, rule.side)) > 0 for decision in strict.values()]
    if not enough:
        verdict = UNDECIDED
    elif all(is_beyond):
        verdict = SUPPORTED
    elif any(decision.verdict == CONTRADICTED for decision in strict.values()):
        verdict = CONTRADICTED
    elif all(is_not_contradicted) and any(is_short):
        verdict = BETWEEN
    else:
        verdict = UNDECIDED
    needed = each[shown].needed if verdict == UNDECIDED else 0
    return replace(each[shown], verdict=verdict, needed=needed, contrast=shown)


def _end(decision: Decision, side: int) -> float:
    """Return the upper end of the interval for side 1, the lower end for side −1."""
    return decision.estimate.high if side > 0 else decision.estimate.low
