"""With x + y in training and y + x in validation, is about half of validation free?

Registered before any result of a study was seen, of the condition that differs from grokking in being split by example:

- The plateau is the mean validation accuracy of the three evaluations at t_m. The plateau of the split by example,
  less grokking's, whose split is by pair, over the share of validation examples whose mirror image trains: 1 if all of
  these are free. Supported where its interval is above 0.5, contradicted where it is below 0.25.
- Beside: accuracy at the plateau of examples whose mirror image trains, and of the others; the shares themselves; and
  the same of other operations that are split by example, of which x / y and composition in S5 do not commute.
- A replica without t_m has no plateau, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.variants import BASE, differences
from general_circuits.analysis.windows import steps_of_events
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

FREE, NOT_FREE = 0.5, 0.25
SPLIT_BY = "split.split_by"
UNIT = "share of mirrored"
AT_PLATEAU = 3
"""Evaluations."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `metrics` and `split` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    by_example = [name for name in conditions if conditions[name][SPLIT_BY] == "example"]
    registered = next(name for name in by_example if differences(conditions, name).keys() == {SPLIT_BY})
    by_pair = _plateau(tables, BASE, "validation")
    free = (_plateau(tables, registered, "validation") - by_pair) / _mirrored(tables["split"], registered)
    findings = [_registered(free)]
    for name in by_example:
        parts = {
            "share whose mirror image trains": _mirrored(tables["split"], name),
            "plateau": _plateau(tables, name, "validation"),
            "plateau of those": _plateau(tables, name, "validation_mirrored"),
            "plateau of the others": _plateau(tables, name, "validation_unmirrored"),
        }
        for what, values in parts.items():
            findings.append(beside(f"{what}, {name}", "share of examples", estimate(values), is_change=False))
    return findings


def _plateau(tables: Mapping[str, pd.DataFrame], condition: str, split: str) -> Array:
    """The mean accuracy at t_m of a part of the examples, by replica."""
    found = []
    metrics = tables["metrics"]
    rows = metrics[(metrics["condition"] == condition) & (metrics["split"] == split)]
    for replica, memorised in steps_of_events(tables["events"], condition)["memorised"].items():
        after = rows[(rows["replica"] == replica) & (rows["step"] >= memorised)].sort_values("step")
        found.append(float(after["accuracy"].iloc[:AT_PLATEAU].mean()))
    return np.array(found)


def _mirrored(split: pd.DataFrame, condition: str) -> Array:
    """The share of validation examples (a, b) of which (b, a) trains, by replica."""
    found = []
    for _, rows in split[split["condition"] == condition].groupby("replica", sort=True):
        trains = rows["split"] == "train"
        trained = set(zip(rows.loc[trains, "a"], rows.loc[trains, "b"], strict=True))
        asked = rows[~trains]
        found.append(float(np.mean([pair in trained for pair in zip(asked["b"], asked["a"], strict=True)])))
    return np.array(found)


def _registered(free: Array) -> Finding:
    found, verdict = decided(free, FREE, NOT_FREE)
    words = {
        SUPPORTED: "most of these are free",
        CONTRADICTED: "few of these are free",
        UNDECIDED: "not shown to be free, nor not to be",
    }
    sentence = (
        "When training examples are memorised, a split by example has validation accuracy that is higher, by"
        f" {written(found)} of the share whose mirror image trains, than a split by pair:"
        f" {outcome(found, verdict, words)}. Over {counted(found.n, len(free))}."
    )
    return Finding(REGISTERED, UNIT, found, sentence, verdict)
