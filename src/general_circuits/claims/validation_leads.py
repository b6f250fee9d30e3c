"""Claim: after the overfitting peak, validation loss starts to fall long before training loss does.

Registered before any result of the rule below was seen, for grokking:

- Losses are those of every step after t_m, from a replay (table `losses`). They are computed in float64 from the
  network's logits, since float32 rounds losses below 1e-7 to 0. With evaluations every 20 steps, replicas whose
  validation loss fell fast had no value.
- Validation loss is its running median over the 51 steps around a step. The floor of training loss is its running 10 %
  quantile over the same steps. So a spike of either loss is no peak and moves no floor.
- The peak is the largest validation loss from 2 t_m on and before t_g. The first version took the largest loss of all,
  which was the overshoot while the network memorised.
- The window runs from the peak to the first later step at which validation loss is a nat lower. D is the change of the
  floor's natural logarithm over it. Supported where D is above −0.1, contradicted where it is below −0.5, between
  otherwise. A window shorter than 51 steps makes both floors share steps, which moves D towards 0.
- The definition had D "in nats". Here it is the change of the logarithm, since the source reads it off a log axis. From
  t_m on, training loss is below 0.1 nats, so its own change could reach neither threshold.
- Preconditions, each in at least four fifths of the replicas: the replica memorised; t_g, or the end of training, comes
  after 2 t_m (a delay); and validation loss falls by at least a nat from its peak. Otherwise the claim is not testable.
- Beside it: the steps that the first nat takes; and the lead, in steps, between two first falls by a nat. The earlier
  one is expected of validation loss, from its peak. The other one is that of the floor's logarithm, from its value at
  the peak. A floor that never falls is censored at the end of training: such replicas are survivors, and the median is
  that of Kaplan and Meier.
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
