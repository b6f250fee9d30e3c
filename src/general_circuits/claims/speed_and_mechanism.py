"""What weight decay and noise are both judged by: how fast, and what they take from either kind of circuit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.variants import BATCH, DECAY, Conditions
from general_circuits.claims.findings import (
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    counted,
    decided,
    not_testable,
    outcome,
    written,
)

NAMES = {DECAY: "weight decay", BATCH: "batch size"}


def speed(events: pd.DataFrame, levels: Mapping[str, float], key: str, side: float) -> Finding:
    """The power of a setting that t_g goes with; supported on this side of 0, contradicted on the other."""
    values = variant_outcomes.slope(events, levels)
    found, verdict = decided(values, 0.0, 0.0, is_below=side < 0)
    words = {
        SUPPORTED: "it speeds generalisation" if side < 0 else "small batches speed generalisation",
        CONTRADICTED: "it slows generalisation" if side < 0 else "small batches slow generalisation",
        UNDECIDED: "not shown to matter",
    }
    sentence = (
        f"Steps to generalise go as {NAMES[key]} to the power {written(found)}: {outcome(found, verdict, words)}. Over"
        f" {counted(found.n, len(values))}."
    )
    return Finding(f"{REGISTERED}, speed", f"power of {NAMES[key]}", found, sentence, verdict)


def mechanism(progress: pd.DataFrame | None, conditions: Conditions, noise: bool) -> Finding:
    """What decay alone, or noise of its size, takes from shallow parts of margins more than from general ones."""
    name, what = f"{REGISTERED}, mechanism", "noise as large as decay" if noise else "decay"
    measured = {} if progress is None else variant_outcomes.alone(progress, conditions)
    lost = measured.get("noise alone" if noise else "decay alone")
    if lost is None:
        return not_testable(f"no measured branch at onset with {what} alone", name)
    found, verdict = decided(lost["shallow"] - lost["general"], 0.0, 0.0)
    words = {
        SUPPORTED: "shallow circuits lose more",
        CONTRADICTED: "general circuits lose more",
        UNDECIDED: "no difference is shown",
    }
    sides = [written(estimate(lost[side]), is_change=False) for side in ("shallow", "general")]
    sentence = (
        f"By {what} alone, the shallow part of training margins loses {sides[0]} of itself and the general part"
        f" {sides[1]}: {outcome(found, verdict, words)}. Over {counted(found.n, len(lost))}."
    )
    return Finding(name, "share of the margin", found, sentence, verdict)
