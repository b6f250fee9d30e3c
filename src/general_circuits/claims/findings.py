"""What a claim's file returns, and the rules that every claim shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from general_circuits.estimates import Estimate
from general_circuits.numbers import interval, plain, signed

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


def beyond(estimate: Estimate, threshold: float) -> str:
    """Supported where the interval lies above `threshold`, contradicted where it lies below −threshold.

    The interval alone decides. Fewer than three replicas are undecided.
    """
    if estimate.n < ENOUGH_REPLICAS:
        return UNDECIDED
    if estimate.low > threshold:
        return SUPPORTED
    if estimate.high < -threshold:
        return CONTRADICTED
    return UNDECIDED


def written(estimate: Estimate, is_change: bool = True) -> str:
    """The estimate as a reader wants it, signed if it is a change."""
    if not np.isfinite(estimate.mean):
        return "an unknown amount"
    mean = (signed if is_change else plain)(estimate.mean, digits=3)
    if not np.isfinite(estimate.low):
        return f"{mean} (no interval)"
    return f"{mean} (95 % interval {interval(estimate.low, estimate.high, 3, is_change)})"


def counted(used: int, total: int) -> str:
    """How many replicas the estimate rests on."""
    if used == total:
        return f"all {total} replicas"
    return f"{used} of {total} replicas (in the others an event was not reached, or a value is undefined)"
