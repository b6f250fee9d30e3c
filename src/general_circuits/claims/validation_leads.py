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
- Beside it, added after a look at an older study: the same D of replicas whose peak comes later than 2 t_m. In the
  others validation loss still falls from its overshoot at 2 t_m, so that step has the largest loss.
- Also beside it: the steps that the first nat takes; and the lead. The lead lasts from the end of that nat until the
  floor's logarithm is a nat below its value at the peak. A floor that never falls is censored at the end of training:
  such replicas are survivors, and the median is that of Kaplan and Meier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.analysis.loss_floor import Lead, leads
from general_circuits.analysis.preconditions import unmet
from general_circuits.analysis.survival import median_time
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    not_testable,
    outcome,
    primary,
    written,
)
from general_circuits.formatting import MINUS

RULE = Rule(supported=-0.1, contradicted=-0.5)
UNIT = "change of log training loss"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `losses` and `events` tables of grokking."""
    of_replicas = leads(tables["losses"], tables["events"])
    fallen = [lead for lead in of_replicas.values() if lead and np.isfinite(lead.first_nat)]
    changes = [lead.change if lead else np.nan for lead in of_replicas.values()]
    first_nats = [np.log10(lead.first_nat) if lead else np.nan for lead in of_replicas.values()]
    later = [lead.change if lead and lead.plateau.rises else np.nan for lead in of_replicas.values()]
    reason = unmet(
        {
            "training examples were memorised": steps_of_events(tables["events"], BASE)["memorised"].notna(),
            "t_g, or the end of training, came after 2 t_m": [lead is not None for lead in of_replicas.values()],
            "validation loss fell by a nat from its peak on the plateau": np.isfinite(first_nats),
        }
    )
    return [
        not_testable(reason) if reason else _registered(changes),
        beside("where the peak comes later than 2 t_m", UNIT, later),
        beside("steps of the first nat", "log10 steps", first_nats, is_change=False),
        _lead_in_steps(fallen),
    ]


def _registered(changes: list[float]) -> Finding:
    decision = decide(changes, RULE)
    words = {
        SUPPORTED: "training loss has not begun to fall",
        CONTRADICTED: "training loss falls at the same time",
        BETWEEN: "training loss falls a little at the same time",
        UNDECIDED: "it is not shown whether training loss stays or falls",
    }
    sentence = (
        "While validation loss falls by its first nat from its peak on the plateau, the log of the floor of training"
        f" loss changes by {written(decision.estimate)}: {outcome(decision, words)}."
    )
    return primary(REGISTERED, UNIT, decision, sentence)


def _lead_in_steps(fallen: Sequence[Lead]) -> Finding:
    """Return the median lead of validation loss; replicas whose floor never falls are censored."""
    contrast, unit = "lead over the floor of training loss", "steps (Kaplan–Meier)"
    if not fallen:
        return Finding(contrast, unit, estimate([]), "In no replica does validation loss fall by a nat from its peak.")
    survivors, total = sum(lead.survives for lead in fallen), len(fallen)
    median = median_time([lead.steps for lead in fallen], [lead.survives for lead in fallen])
    counted = f"Survivors, whose floor does not fall by a nat before training ends: {survivors} of {total} replicas."
    if not np.isfinite(median.time):
        text = f"Fewer than half of the floors of training loss fall by a nat before training ends. {counted}"
        return Finding(contrast, unit, estimate([]), text)
    text = (
        "From the fall of validation loss by its first nat to that of the floor of training loss, the median lead is"
        f" {_steps(median.time)} steps (95 % interval {_steps(median.low)} to {_steps(median.high)}). {counted}"
    )
    return Finding(contrast, unit, Estimate(median.time, median.low, median.high, float("nan"), total), text)


def _steps(steps: float) -> str:
    return f"{steps:+,.0f}".replace("-", MINUS) if np.isfinite(steps) else "no end"
