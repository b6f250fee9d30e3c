"""What a claim's file returns, and the rules that every claim shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.formatting import interval, plain, signed

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
NOT_TESTABLE = "not testable in this study"
REGISTERED = "registered"
"""The contrast that carries a claim's verdict; every other one stands beside it, without a verdict.

A claim that is judged for several things apart has one for each: "registered, sgd"."""

ENOUGH_REPLICAS = 3


@dataclass(frozen=True)
class Finding:
    """One contrast of a claim: its estimate over replicas with its unit, and for the registered one the verdict."""

    contrast: str
    unit: str
    estimate: Estimate
    sentence: str
    verdict: str = ""


def is_registered(contrast: str) -> bool:
    """Whether a contrast carries a verdict."""
    return contrast.split(", ")[0] == REGISTERED


def judged_for(contrast: str) -> str:
    """What a registered contrast is of, where its claim has several; else nothing."""
    return contrast.removeprefix(REGISTERED).removeprefix(", ")


def beyond(found: Estimate, threshold: float) -> str:
    """Supported where the interval lies above `threshold`, contradicted where it lies below −threshold.

    The interval alone decides. Fewer than three replicas are undecided.
    """
    if found.n < ENOUGH_REPLICAS:
        return UNDECIDED
    if found.low > threshold:
        return SUPPORTED
    if found.high < -threshold:
        return CONTRADICTED
    return UNDECIDED


def decided(values: ArrayLike, supported: float, contradicted: float, is_below: bool = False) -> tuple[Estimate, str]:
    """Supported where the whole interval lies beyond one threshold, contradicted where it lies beyond the other.

    Each on its own side, which `is_below` tells where both are one: supported is below then. The interval alone
    decides. p is against the threshold that the mean is beyond, and 1 where it is between both. Fewer than three
    replicas are undecided.
    """
    side = -1 if is_below or supported < contradicted else 1
    mean = side * estimate(values).mean
    found = estimate(values, supported if mean > side * supported else contradicted)
    if side * contradicted <= mean <= side * supported and found.n > 1:
        found = replace(found, p_value=1.0)
    low, high = sorted((side * found.low, side * found.high))
    verdict = UNDECIDED
    if found.n >= ENOUGH_REPLICAS and low > side * supported:
        verdict = SUPPORTED
    elif found.n >= ENOUGH_REPLICAS and high < side * contradicted:
        verdict = CONTRADICTED
    return found, verdict


def outcome(found: Estimate, verdict: str, words: Mapping[str, str]) -> str:
    """What a verdict says, in words by verdict."""
    return words[verdict] if found.n >= ENOUGH_REPLICAS else "too few replicas to say"


def beside(contrast: str, unit: str, found: Estimate, is_change: bool = True) -> Finding:
    """A contrast that stands beside a registered one, in its own words."""
    return Finding(contrast, unit, found, f"{contrast[0].upper()}{contrast[1:]}: {written(found, is_change)}.")


def not_testable(lacks: str, contrast: str = REGISTERED) -> Finding:
    """A registered contrast of a study that lacks something, in words."""
    return Finding(contrast, "", estimate([]), f"Not testable in this study: it has {lacks}.", NOT_TESTABLE)


def written(found: Estimate, is_change: bool = True) -> str:
    """The estimate as a reader wants it, signed if it is a change."""
    if not np.isfinite(found.mean):
        return "an unknown amount"
    mean = (signed if is_change else plain)(found.mean, digits=3)
    if not np.isfinite(found.low):
        return f"{mean} (no interval)"
    return f"{mean} (95 % interval {interval(found.low, found.high, 3, is_change)})"


def counted(used: int, total: int) -> str:
    """How many replicas the estimate rests on."""
    if used == total:
        return f"all {total} replicas"
    return f"{used} of {total} replicas (in the others an event was not reached, or a value is undefined)"
