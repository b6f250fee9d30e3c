"""Findings, which a claim's file returns, and the words that every claim shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from general_circuits.analysis.decisions import (
    BETWEEN,
    CONTRADICTED,
    ENOUGH_REPLICAS,
    SUPPORTED,
    UNDECIDED,
    Decision,
    Rule,
)
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.formatting import interval, plain, signed

NOT_TESTABLE, NOT_MEASURED = "not testable", "not measured"
VERDICTS = (SUPPORTED, CONTRADICTED, BETWEEN, UNDECIDED, NOT_TESTABLE, NOT_MEASURED)
"""All verdicts, in the order in which they are counted."""
REGISTERED = "registered"
"""Name of the primary contrast, which carries a claim's verdict; other contrasts stand beside it, without a verdict.

A claim of several parts has a primary contrast for each, such as "registered, sgd"."""


@dataclass(frozen=True)
class Finding:
    """One contrast of a claim.

    Attributes:
        contrast: its name.
        unit: the unit of the estimate.
        estimate: over replicas.
        sentence: the result in words.
        values: value of each replica, NaN where it has none; empty where the estimate is of another kind.
        decision: thresholds and tests of a primary contrast.
        verdict: of a primary contrast; empty for others.
        reason: why a primary contrast is not testable; empty for others.
        is_lacking: whether it is not testable because the study lacks a condition or a measurement.
    """

    contrast: str
    unit: str
    estimate: Estimate
    sentence: str
    values: tuple[float, ...] = ()
    decision: Decision | None = None
    verdict: str = ""
    reason: str = ""
    is_lacking: bool = False


def is_registered(contrast: str) -> bool:
    """Tell whether a contrast carries a verdict."""
    return contrast.split(", ")[0] == REGISTERED


def judged_for(contrast: str) -> str:
    """Return the part of its claim that a primary contrast is about, such as "sgd"; empty where there is only one."""
    return contrast.removeprefix(REGISTERED).removeprefix(", ")


def part(name: str) -> str:
    """Return the contrast that carries the verdict on one part of a claim."""
    return f"{REGISTERED}, {name}" if name else REGISTERED


def primary(contrast: str, unit: str, decision: Decision, sentence: str) -> Finding:
    """Return a primary contrast. The number of replicas that it rests on, or would need, ends the sentence."""
    text = f"{sentence} Over {counted(decision.estimate.n, len(decision.values))}."
    if decision.needed:
        text += f" About {decision.needed} replicas would decide."
    return Finding(contrast, unit, decision.estimate, text, tuple(decision.values), decision, decision.verdict)


def outcome(decision: Decision, words: Mapping[str, str]) -> str:
    """Return the words of a verdict, or that there are too few replicas."""
    return words[decision.verdict] if decision.estimate.n >= ENOUGH_REPLICAS else "too few replicas to say"


def beside(contrast: str, unit: str, values: ArrayLike, is_change: bool = True) -> Finding:
    """Return a contrast that stands beside the primary ones; its sentence is its name and its estimate.

    Args:
        contrast, unit: as in `Finding`.
        values: value of each replica, NaN where it has none.
        is_change: whether the estimate is written with its sign.
    """
    result = estimate(values)
    text = f"{contrast[0].upper()}{contrast[1:]}: {written(result, is_change)}."
    return Finding(contrast, unit, result, text, tuple(np.asarray(values, dtype=float)))


def not_testable(reason: str, contrast: str = REGISTERED) -> Finding:
    """Return a primary contrast whose runs fail a precondition; `reason` completes "Not testable: "."""
    sentence = f"Not testable: {reason}."
    return Finding(contrast, "", estimate([]), sentence, verdict=NOT_TESTABLE, reason=reason)


def lacking(what: str, contrast: str = REGISTERED) -> Finding:
    """Return a primary contrast for which the study lacks something; `what` says it, such as "no toy duels"."""
    return replace(not_testable(f"this study has {what}", contrast), is_lacking=True)


def written(result: Estimate, is_change: bool = True) -> str:
    """Return an estimate with its interval as text, with a sign if it is a change."""
    if not np.isfinite(result.mean):
        return "an unknown amount"
    mean = (signed if is_change else plain)(result.mean, digits=3)
    if not np.isfinite(result.low):
        return f"{mean} (no interval)"
    return f"{mean} ({interval(result.low, result.high, 3, is_change)})"


def counted(used: int, total: int) -> str:
    """Say how many of the replicas the estimate rests on."""
    if used == total:
        return f"all {total} replicas"
    return f"{used} of {total} replicas (in the others an event was not reached, or a value is undefined)"


__all__ = [
    "BETWEEN",
    "CONTRADICTED",
    "ENOUGH_REPLICAS",
    "NOT_MEASURED",
    "NOT_TESTABLE",
    "REGISTERED",
    "SUPPORTED",
    "UNDECIDED",
    "VERDICTS",
    "Decision",
    "Finding",
    "Rule",
    "beside",
    "counted",
    "is_registered",
    "judged_for",
    "lacking",
    "not_testable",
    "outcome",
    "part",
    "primary",
    "written",
]
