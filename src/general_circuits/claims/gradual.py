"""Is the rise to full validation accuracy a large part of the training time, and the jump an illusion of the log axis?

Registered before any result of a study was seen, of grokking:

- t05 and t95 are where validation accuracy has made 5 % and 95 % of its way to 1 from its plateau after t_m, linear
  between evaluations. Supported where the interval of (t95 − t05) / t95 is above 0.5, contradicted where it is below
  0.25.
- Beside: the same on a clock that runs as far as weights move, Σ‖Δθ‖; of training accuracy, from where it began; how
  much longer the one rise takes than the other; and of controls that generalise.
- A replica that does not get so far has no such share, and is counted.
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
    found = rises(metrics, events, "grokking")
    findings = [_registered([rise.share for rise in found])]
    contrasts = [
        ("on the clock of distance travelled", UNIT, [rise.share_of_distance for rise in found]),
        ("of training accuracy", UNIT, [rise.memorisation_share for rise in found]),
        (
            "rise of validation over rise of training accuracy",
            "log10 of the ratio of steps",
            [_longer(r) for r in found],
        ),
    ]
    for condition in dict.fromkeys(events["condition"].astype(str)):
        if condition != "grokking":
            others = rises(metrics, events, condition)
            contrasts.append((f"in {condition}", UNIT, [rise.share for rise in others]))
            contrasts.append(
                (f"rises in {condition}", "log10 of the ratio of steps", [_longer(rise) for rise in others])
            )
    for contrast, unit, values in contrasts:
        findings.append(beside(contrast, unit, estimate(values), is_change=unit != UNIT))
    return findings


def _longer(rise: Rise) -> float:
    ratio = rise.steps / rise.memorisation_steps if rise.memorisation_steps > 0 else np.nan
    return float(np.log10(ratio)) if ratio > 0 else float("nan")


def _registered(shares: list[float]) -> Finding:
    found, verdict = decided(shares, LARGE, SMALL)
    words = {SUPPORTED: "a large part", CONTRADICTED: "a small part", UNDECIDED: "neither large nor small"}
    sentence = (
        f"From 5 % to 95 % of its rise, validation accuracy takes {written(found, is_change=False)} of all steps until"
        f" then: {outcome(found, verdict, words)}. Over {counted(found.n, len(shares))}."
    )
    return Finding(REGISTERED, UNIT, found, sentence, verdict)
