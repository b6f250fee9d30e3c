"""Claim: a full batch without regularisation still groks, but much less; a perfect step size would prevent it.

Registered before any result of a study was seen, for conditions that train on full batches without weight decay. The
gain is validation accuracy at the end minus its plateau at t_m. The plateau is the mean of three evaluations: from t_m
on, or the first three of the run where t_m was not reached. Three verdicts:

- groks: the gain with Adam and cross-entropy in float32. Supported where its interval is above 0.1, contradicted where
  it is below 0.05.
- less: grokking's gain minus that gain. Supported above 0.1, contradicted below 0.
- step size: the gain with gradient descent and a line search. Supported where it is below 0.05: a line search then
  prevents grokking. Contradicted where it is above 0.1.
- Beside it: t_g and the gain for every optimiser, precision and loss, and the steps that each was trained for. A
  censored replica might still generalise later.
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
"""Update rules that count as Adam; without decay they are the same."""


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
            "it does not grok within these steps",
        ),
        _finding(
            "less",
            None if adam is None else gains[BASE] - adam,
            (GAIN, 0.0),
            "Regularisation increases the gain by",
            "the gain is much smaller without it",
            "the gain is no smaller without it",
        ),
        _finding(
            "step size",
            gains[by_search] if by_search else None,
            (NO_GAIN, GAIN),
            f"Gradient descent with a line search, trained for {_steps(conditions, by_search)} steps, gains",
            "the line search prevents grokking",
            "it groks despite the line search",
        ),
    ]
    for name in bare:
        how, steps = _named(conditions[name]), int(conditions[name]["schedule.steps"])
        generalised = steps_of_events(tables["events"], name)["generalised"]
        result = estimate(gains[name])
        ended = f"{generalised.notna().sum()} of {len(generalised)} replicas generalise"
        text = f"By {how}, in {steps:,} steps: {written(result)}; {ended}."
        findings.append(Finding(f"by {how}", UNIT, result, text))
        result = estimate(np.log10(generalised.to_numpy(float)))
        findings.append(Finding(f"t_g by {how}", "log10 steps", result, f"T_g by {how}: {written(result)}."))
    return findings


def _gains(tables: Mapping[str, pd.DataFrame], condition: str) -> Array:
    """Return validation accuracy at the end minus its plateau, (replica)."""
    gains = []
    for replica, memorised in steps_of_events(tables["events"], condition)["memorised"].items():
        accuracy = variant_outcomes.curves(tables["metrics"], condition, int(str(replica)))["validation"]
        after = accuracy.loc[memorised:] if np.isfinite(memorised) else accuracy
        gains.append(float(accuracy.iloc[-1] - after.iloc[:3].mean()))
    return np.array(gains)


def _first(conditions: Conditions, bare: list[str], optimisers: tuple[str, ...]) -> str | None:
    """Return the first condition with one of these optimisers and cross-entropy in float32; None without one."""
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
    result, verdict = decided(values, *thresholds)
    words = {SUPPORTED: supported, CONTRADICTED: contradicted, UNDECIDED: "not shown either way"}
    sentence = f"{begin} {written(result)} of validation accuracy: {outcome(result, verdict, words)}."
    return Finding(name, UNIT, result, f"{sentence} Over {counted(result.n, len(values))}.", verdict)
