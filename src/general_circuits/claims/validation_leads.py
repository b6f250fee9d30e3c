"""After the overfitting peak, does validation loss start to fall long before training loss does?

Registered before any result of a study was seen, of grokking:

- The floor of training loss at a step is its 10 % quantile over the seven evaluations around it. D is the change of the
  floor's natural logarithm while validation loss (its running median over seven evaluations) falls its first nat from
  its peak. Supported where the interval of D is above −0.1, contradicted where it is below −0.5.
- The definition had D "in nats". It is of the logarithm here, since the source reads it off a log axis: from t_m on,
  training loss is below 0.1 nats, so that its own change could reach neither threshold. That stands beside it.
- Beside: how many steps the first nat took, and how many after the peak the floor had fallen by half a unit (to the
  end, where it never did).
- A replica whose validation loss does not fall by a nat has no D, nor has one in which that takes fewer than seven
  evaluations, since both floors would be of the same ones; they are counted.
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
    of_all = list(leads(tables["metrics"]).values())
    findings = [_registered([lead.change for lead in of_all])]
    contrasts = {
        "of the loss itself": ("nats", [lead.change_of_loss for lead in of_all]),
        "steps of the first nat": ("log10 steps", [_log(lead.first_nat) for lead in of_all]),
        "steps until the floor falls": ("log10 steps", [_log(lead.until_floor) for lead in of_all]),
        "the floor later by": (
            "log10 of the ratio of steps",
            [_log(lead.until_floor / lead.first_nat) for lead in of_all],
        ),
    }
    for contrast, (unit, values) in contrasts.items():
        findings.append(beside(contrast, unit, estimate(values)))
    return findings


def _log(value: float) -> float:
    return float(np.log10(value)) if value > 0 else float("nan")


def _registered(changes: list[float]) -> Finding:
    found, verdict = decided(changes, STEADY, FALLEN)
    words = {
        SUPPORTED: "it has not begun to fall",
        CONTRADICTED: "it falls at the same time",
        UNDECIDED: "not shown to be steady, nor to fall",
    }
    sentence = (
        "While validation loss falls its first nat from its peak, the log of the floor of training loss changes by"
        f" {written(found)}: {outcome(found, verdict, words)}. Over {counted(found.n, len(changes))}."
    )
    return Finding(REGISTERED, UNIT, found, sentence, verdict)
