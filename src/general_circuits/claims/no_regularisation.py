"""Does a full batch without any regularisation still grok, but much less; and would a perfect step size prevent it?

Registered before any result of a study was seen, of conditions that train on full batches without weight decay, three
verdicts by the gain: validation accuracy at the end less its plateau at t_m (the mean over the three evaluations there,
or of the run's first three where t_m was not reached).

- groks: the gain by Adam, of cross-entropy in float32. Supported where its interval is above 0.1, contradicted where it
  is below 0.05.
- less: grokking's gain less that one. Supported above 0.1, contradicted below 0.
- step size: the gain by gradient descent with a line search. Supported, which is that it prevents grokking, where it is
  below 0.05; contradicted where it is above 0.1.
- Beside: t_g and gains by every optimiser, precision and loss, and how long they were trained: none that is censored
  says that it would never generalise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.variants import BASE, BATCH, DECAY, Conditions
from general_circuits.analysis.windows import steps_of_events
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

GAIN, NO_GAIN = 0.1, 0.05
UNIT = "validation accuracy gained"
OPTIMISER, LOSS, PRECISION = "optimiser.optimiser", "optimiser.loss", "optimiser.loss_precision"
ADAM = ("adamw", "adam")


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `metrics` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    bare = [name for name in conditions if conditions[name][DECAY] == 0 and conditions[name][BATCH] == "full"]
    gains = {name: _gains(tables, name) for name in [BASE, *bare]}
    by_adam = _first(conditions, bare, ADAM)
    by_search = _first(conditions, bare, ("line_search",))
    adam = gains[by_adam] if by_adam else None
    findings = [
        _finding(
            "groks",
            adam,
            (GAIN, NO_GAIN),
            f"Adam on full batches without decay, trained for {_steps(conditions, by_adam)} steps, gains",
            "it groks",
            "it does not within them",
        ),
        _finding(
            "less",
            None if adam is None else gains[BASE] - adam,
            (GAIN, 0.0),
            "With regularisation it gains more than without, by",
            "much less without",
            "no less without",
        ),
        _finding(
            "step size",
            gains[by_search] if by_search else None,
            (NO_GAIN, GAIN),
            f"With a line search, in {_steps(conditions, by_search)} steps, it gains",
            "that prevents it",
            "it groks all the same",
        ),
    ]
    for name in bare:
        how, steps = _named(conditions[name]), int(conditions[name]["schedule.steps"])
        generalised = steps_of_events(tables["events"], name)["generalised"]
        found = estimate(gains[name])
        ended = f"{generalised.notna().sum()} of {len(generalised)} generalise"
        text = f"By {how}, in {steps:,} steps: {written(found)}; {ended}."
        findings.append(Finding(f"by {how}", UNIT, found, text))
        found = estimate(np.log10(generalised.to_numpy(float)))
        findings.append(Finding(f"t_g by {how}", "log10 steps", found, f"T_g by {how}: {written(found)}."))
    return findings


def _gains(tables: Mapping[str, pd.DataFrame], condition: str) -> Array:
    """Validation accuracy at the end less that at the plateau, by replica."""
    found = []
    for replica, memorised in steps_of_events(tables["events"], condition)["memorised"].items():
        accuracy = variant_outcomes.curves(tables["metrics"], condition, int(str(replica)))["validation"]
        after = accuracy.loc[memorised:] if np.isfinite(memorised) else accuracy
        found.append(float(accuracy.iloc[-1] - after.iloc[:3].mean()))
    return np.array(found)


def _first(conditions: Conditions, bare: list[str], optimisers: tuple[str, ...]) -> str | None:
    """The condition with one of these optimisers, of cross-entropy in float32, if there is one."""
    for name in bare:
        plain = conditions[name][LOSS] == "cross_entropy" and conditions[name][PRECISION] == "float32"
        if plain and conditions[name][OPTIMISER] in optimisers:
            return name
    return None


def _steps(conditions: Conditions, name: str | None) -> str:
    return f"{int(conditions[name]['schedule.steps']):,}" if name else "no"


def _named(settings: Mapping[str, Any]) -> str:
    return f"{settings[OPTIMISER]}, {settings[LOSS].replace('_', ' ')}, {settings[PRECISION]}"


def _finding(
    what: str, values: Array | None, thresholds: tuple[float, float], begin: str, supported: str, contradicted: str
) -> Finding:
    name = f"{REGISTERED}, {what}"
    if values is None:
        rule = "line search" if what == "step size" else "Adam"
        return not_testable(f"no {rule} on full batches without decay, of cross-entropy in float32", name)
    found, verdict = decided(values, *thresholds)
    words = {SUPPORTED: supported, CONTRADICTED: contradicted, UNDECIDED: "not shown either way"}
    sentence = f"{begin} {written(found)} of validation accuracy: {outcome(found, verdict, words)}. Over"
    return Finding(name, UNIT, found, f"{sentence} {counted(found.n, len(values))}.", verdict)
