"""Verdicts that weight decay and noise share: the speed of generalising, and the loss of either kind of circuit."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import BATCH, DECAY
from general_circuits.claims.findings import (
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    counted,
    decided,
    outcome,
    written,
)

NAMES = {DECAY: "weight decay", BATCH: "batch size"}
"""Names of the settings for a reader."""


def speed(events: pd.DataFrame, levels: Mapping[str, float], key: str, side: float) -> Finding:
    """Judge how t_g depends on a setting, by the power of the setting that it is proportional to.

    Args:
        events: the table `events`.
        levels: the setting's value, by condition.
        key: the setting, a key of `NAMES`.
        side: the sign of the power that supports the claim; the other sign contradicts it.
    """
    values = variant_outcomes.slope(events, levels)
    result, verdict = decided(values, 0.0, 0.0, is_below=side < 0)
    words = {
        SUPPORTED: "it speeds generalisation" if side < 0 else "small batches speed generalisation",
        CONTRADICTED: "it slows generalisation" if side < 0 else "small batches slow generalisation",
        UNDECIDED: "no effect is shown",
    }
    sentence = (
        f"Steps to generalise change as {NAMES[key]} to the power {written(result)}: {outcome(result, verdict, words)}."
        f" Over {counted(result.n, len(values))}."
    )
    return Finding(f"{REGISTERED}, speed", f"power of {NAMES[key]}", result, sentence, verdict)
