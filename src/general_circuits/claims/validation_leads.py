"""After the overfitting peak, does validation loss start to fall long before training loss does?

Registered before any result was seen, of grokking:

- The floor of training loss at a step is its 10 % quantile over the eleven evaluations around it. D is the change of
  the floor's natural logarithm while validation loss falls its first nat from its peak. Supported where the interval of
  D is above −0.1, contradicted where it is below −0.5.
- The definition had D "in nats". It is of the logarithm here, since the source reads it off a log axis: from t_m on,
  training loss is below 0.1 nats, so that its own change could reach neither threshold. That stands beside it.
- Beside: how many steps the first nat took, and how many after the peak the floor had fallen by half a unit (to the
  end, where it never did).
- A replica whose validation loss does not fall by a nat has no D, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits import sweeps
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
from general_circuits.estimates import estimate

STEADY, FALLEN = -0.1, -0.5
AROUND, QUANTILE = 11, 0.1
UNIT = "change of log training loss"


@dataclass(frozen=True)
class Lead:
    """What one replica's losses did from the peak of validation loss on; missing where it did not fall by a nat.

    Attributes:
        change: of the log of the floor of training loss, while validation loss fell its first nat.
        change_of_loss: of the floor itself, nats.
        first_nat: steps that this took.
        until_floor: steps from the peak until the floor has fallen by half a unit, or to the end.
    """

    change: float
    change_of_loss: float
    first_nat: float
    until_floor: float


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `metrics` table of grokking."""
    leads = list(_leads(tables["metrics"]))
    findings = [_registered([lead.change for lead in leads])]
    beside = {
        "of the loss itself": ("nats", [lead.change_of_loss for lead in leads]),
        "steps of the first nat": ("log10 steps", [_log(lead.first_nat) for lead in leads]),
        "steps until the floor falls": ("log10 steps", [_log(lead.until_floor) for lead in leads]),
        "the floor later by": (
            "log10 of the ratio of steps",
            [_log(lead.until_floor / lead.first_nat) for lead in leads],
        ),
    }
    for contrast, (unit, values) in beside.items():
        found = estimate(values)
        findings.append(Finding(contrast, unit, found, f"{contrast[0].upper()}{contrast[1:]}: {written(found)}."))
    return findings


def floor(losses: pd.Series) -> pd.Series:
    """The 10 % quantile of a series over the evaluations around each."""
    return losses.rolling(AROUND, center=True, min_periods=1).quantile(QUANTILE)


def _leads(metrics: pd.DataFrame) -> Iterator[Lead]:
    rows = metrics[(metrics["condition"] == "grokking") & ~metrics["diverged"]]
    for replica in sorted(rows["replica"].unique()):
        losses = sweeps.curves(rows, "grokking", replica, "loss")
        peak = losses["validation"].idxmax()
        after = losses["validation"].loc[peak:]
        fallen = after.index[after <= after.iloc[0] - 1]
        if not len(fallen):
            yield Lead(*[float("nan")] * 4)
            continue
        low = floor(losses["train"])
        is_down = low.loc[peak:].index[np.log(low.loc[peak:]) <= np.log(low[peak]) + FALLEN]
        until = (is_down[0] if len(is_down) else losses.index[-1]) - peak
        there = fallen[0]
        yield Lead(float(np.log(low[there] / low[peak])), float(low[there] - low[peak]), there - peak, until)


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
