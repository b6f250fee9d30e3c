"""Findings, which a claim's file returns, and the rules that every claim shares."""

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
"""Name of the contrast that carries a claim's verdict; other contrasts stand beside it, without a verdict.

A claim with several verdicts has a registered contrast for each, such as "registered, sgd"."""

ENOUGH_REPLICAS = 3
"""Least number of replicas that can decide a claim."""


@dataclass(frozen=True)
class Finding:
    """One contrast of a claim.

    Attributes:
        contrast: its name.
        unit: the unit of the estimate.
        estimate: over replicas.
        sentence: the result in words.
        verdict: of a registered contrast; empty for others.
    """

    contrast: str
    unit: str
    estimate: Estimate
    sentence: str
    verdict: str = ""


def is_registered(contrast: str) -> bool:
    """Tell whether a contrast carries a verdict."""
    return contrast.split(", ")[0] == REGISTERED


def judged_for(contrast: str) -> str:
    """Return the thing that a registered contrast is about, such as "sgd"; empty where its claim has only one."""
    return contrast.removeprefix(REGISTERED).removeprefix(", ")


def beyond(result: Estimate, threshold: float) -> str:
    """Return the verdict: supported if the interval lies above `threshold`, contradicted if it lies below −threshold.

    The interval alone decides, not p. Fewer than three replicas are undecided.
    """
    if result.n < ENOUGH_REPLICAS:
        return UNDECIDED
    if result.low > threshold:
        return SUPPORTED
    if result.high < -threshold:
        return CONTRADICTED
    return UNDECIDED


def decided(values: ArrayLike, supported: float, contradicted: float, is_below: bool = False) -> tuple[Estimate, str]:
    """Estimate a mean and its verdict from two thresholds.

    Supported if the whole interval lies beyond one threshold, contradicted if it lies beyond the other, on the other
    side. The interval alone decides, not p. Fewer than three replicas are undecided.

    Args:
        values: (replica); values that are not finite are left out.
        supported: the threshold of support. It lies above `contradicted` where large values support.
        contradicted: the threshold of contradiction.
        is_below: whether small values support where both thresholds are equal.

    Returns:
        The estimate and the verdict. p is against the threshold that the mean lies beyond, and 1 between both.
    """
    side = -1 if is_below or supported < contradicted else 1  # −1 mirrors everything, so that large values support
    mean = side * estimate(values).mean
    result = estimate(values, supported if mean > side * supported else contradicted)
    if side * contradicted <= mean <= side * supported and result.n > 1:
        result = replace(result, p_value=1.0)
    low, high = sorted((side * result.low, side * result.high))
    verdict = UNDECIDED
    if result.n >= ENOUGH_REPLICAS and low > side * supported:
        verdict = SUPPORTED
    elif result.n >= ENOUGH_REPLICAS and high < side * contradicted:
        verdict = CONTRADICTED
    return result, verdict


def outcome(result: Estimate, verdict: str, words: Mapping[str, str]) -> str:
    """Return the words of a verdict, or that there are too few replicas."""
    return words[verdict] if result.n >= ENOUGH_REPLICAS else "too few replicas to say"


def beside(contrast: str, unit: str, result: Estimate, is_change: bool = True) -> Finding:
    """Return a contrast that stands beside the registered one; its sentence is its name and its estimate."""
    return Finding(contrast, unit, result, f"{contrast[0].upper()}{contrast[1:]}: {written(result, is_change)}.")


def not_testable(lacks: str, contrast: str = REGISTERED) -> Finding:
    """Return a registered contrast that the study cannot test; `lacks` says what is missing, such as "no toys"."""
    return Finding(contrast, "", estimate([]), f"Not testable in this study: it has {lacks}.", NOT_TESTABLE)


def written(result: Estimate, is_change: bool = True) -> str:
    """Return an estimate with its interval as text, with a sign if it is a change."""
    if not np.isfinite(result.mean):
        return "an unknown amount"
    mean = (signed if is_change else plain)(result.mean, digits=3)
    if not np.isfinite(result.low):
        return f"{mean} (no interval)"
    return f"{mean} (95 % interval {interval(result.low, result.high, 3, is_change)})"


def counted(used: int, total: int) -> str:
    """Say how many of the replicas the estimate rests on."""
    if used == total:
        return f"all {total} replicas"
    return f"{used} of {total} replicas (in the others an event was not reached, or a value is undefined)"
