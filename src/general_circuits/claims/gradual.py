"""Claim: the rise to full validation accuracy is a large part of the training time; the jump is a log-axis illusion.

Registered before any result of a study was seen, for grokking:

- Validation accuracy rises from its plateau after t_m to 1. The steps t05 and t95 are those at which it has gone 5 %
  and 95 % of the way, linear between evaluations.
- Supported where the interval of (t95 − t05) / t95 is above 0.5, contradicted where it is below 0.25.
- Beside it: the same share on a clock of the distance that weights travel, Σ‖Δθ‖; the same share for training accuracy,
  which rises from its first value; the ratio of both rises; and the same for controls that generalise.
- A replica that does not get so far has no share; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis.accuracy_rise import Rise, rises
from general_circuits.analysis.estimates import estimate
from general_circuits.claims.findings import (
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    counted,
    decided,
    outcome,
    written,
)

LARGE, SMALL = 0.5, 0.25
UNIT = "share of the training time"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `metrics` and `events` tables of grokking and of controls."""
    metrics, events = tables["metrics"], tables["events"]
    of_grokking = rises(metrics, events, "grokking")
    findings = [_registered([rise.share for rise in of_grokking])]
    contrasts = [
        ("on the clock of distance travelled", UNIT, [rise.share_of_distance for rise in of_grokking]),
        ("rise of training accuracy", UNIT, [rise.memorisation_share for rise in of_grokking]),
        (
            "rise of validation over rise of training accuracy",
            "log10 of the ratio of steps",
            [_longer(rise) for rise in of_grokking],
        ),
    ]
    for condition in dict.fromkeys(events["condition"].astype(str)):
        if condition != "grokking":
            others = rises(metrics, events, condition)
            contrasts.append((f"in {condition}", UNIT, [rise.share for rise in others]))
            contrasts.append(
                (
                    f"rise of validation over rise of training accuracy in {condition}",
                    "log10 of the ratio of steps",
                    [_longer(rise) for rise in others],
                )
            )
    for contrast, unit, values in contrasts:
        findings.append(beside(contrast, unit, estimate(values), is_change=unit != UNIT))
    return findings


def _longer(rise: Rise) -> float:
    """Return log10 of the steps of validation accuracy's rise over those of training accuracy's."""
    ratio = rise.steps / rise.memorisation_steps if rise.memorisation_steps > 0 else np.nan
    return float(np.log10(ratio)) if ratio > 0 else float("nan")


def _registered(shares: list[float]) -> Finding:
    result, verdict = decided(shares, LARGE, SMALL)
    words = {SUPPORTED: "a large part", CONTRADICTED: "a small part", UNDECIDED: "not shown to be large or small"}
    sentence = (
        f"The rise of validation accuracy from 5 % to 95 % takes {written(result, is_change=False)} of all steps up to"
        f" its end: {outcome(result, verdict, words)}. Over {counted(result.n, len(shares))}."
    )
    return Finding(REGISTERED, UNIT, result, sentence, verdict)
