"""Claim: after the overfitting peak, validation loss starts to fall long before training loss does.

Registered before any result of a study was seen, for grokking:

- The floor of training loss at a step is its 10 % quantile over the seven evaluations around the step. Validation loss
  is taken as its running median over seven evaluations.
- D is the change of the floor's natural logarithm while validation loss falls by its first nat from its peak. Supported
  where the interval of D is above −0.1, contradicted where it is below −0.5.
- The definition had D "in nats". Here it is the change of the logarithm, since the source reads it off a log axis. From
  t_m on, training loss is below 0.1 nats, so its own change could reach neither threshold; it stands beside D.
- Beside it: the steps of the first nat; and the steps from the peak until the floor has fallen by half a log unit, or
  to the end of training.
- A replica has no D if its validation loss does not fall by a nat. Nor has it one if that takes fewer than seven
  evaluations, since both floors would be taken over some of the same evaluations. The sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.loss_floor import FALLEN, leads
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

STEADY = -0.1
UNIT = "change of log training loss"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `metrics` table of grokking."""
    of_replicas = list(leads(tables["metrics"]).values())
    findings = [_registered([lead.change for lead in of_replicas])]
    contrasts = {
        "change of the floor itself": ("nats", [lead.change_of_loss for lead in of_replicas]),
        "steps of the first nat": ("log10 steps", [_log(lead.first_nat) for lead in of_replicas]),
        "steps until the floor falls": ("log10 steps", [_log(lead.until_floor) for lead in of_replicas]),
        "steps until the floor falls over steps of the first nat": (
            "log10 of the ratio of steps",
            [_log(lead.until_floor / lead.first_nat) for lead in of_replicas],
        ),
    }
    for contrast, (unit, values) in contrasts.items():
        findings.append(beside(contrast, unit, estimate(values)))
    return findings


def _log(value: float) -> float:
    return float(np.log10(value)) if value > 0 else float("nan")


def _registered(changes: list[float]) -> Finding:
    result, verdict = decided(changes, STEADY, FALLEN)
    words = {
        SUPPORTED: "training loss has not begun to fall",
        CONTRADICTED: "training loss falls at the same time",
        UNDECIDED: "it is not shown whether training loss stays or falls",
    }
    sentence = (
        "While validation loss falls by its first nat from its peak, the log of the floor of training loss changes by"
        f" {written(result)}: {outcome(result, verdict, words)}. Over {counted(result.n, len(changes))}."
    )
    return Finding(REGISTERED, UNIT, result, sentence, verdict)
