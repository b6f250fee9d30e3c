"""Claim: with x + y in training and y + x in validation, about half of validation is free.

Registered before any result of a study was seen, for the condition that differs from grokking only in a split by
example:

- The plateau is the mean validation accuracy of the three evaluations from t_m on. Grokking is split by pair, so no
  mirror image of its validation examples trains.
- The estimate is the plateau of the split by example minus grokking's plateau, divided by the share of validation
  examples whose mirror image trains. It is 1 if all of these examples are free. Supported where its interval is above
  0.5, contradicted where it is below 0.25.
- Beside it: the plateau of examples whose mirror image trains, and of the others; and that share itself. Other
  operations with a split by example are shown, too; x / y and composition in S5 do not commute.
- A replica without t_m has no plateau; the sentence counts such replicas.
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
"""Number of evaluations from t_m on that the plateau is the mean of."""


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
            "plateau of mirrored examples": _plateau(tables, name, "validation_mirrored"),
            "plateau of unmirrored examples": _plateau(tables, name, "validation_unmirrored"),
        }
        for what, values in parts.items():
            findings.append(beside(f"{what}, {name}", "share of examples", estimate(values), is_change=False))
    return findings


def _plateau(tables: Mapping[str, pd.DataFrame], condition: str, split: str) -> Array:
    """Return the plateau of accuracy at t_m on one part of the examples, (replica)."""
    plateaus = []
    metrics = tables["metrics"]
    rows = metrics[(metrics["condition"] == condition) & (metrics["split"] == split)]
    for replica, memorised in steps_of_events(tables["events"], condition)["memorised"].items():
        after = rows[(rows["replica"] == replica) & (rows["step"] >= memorised)].sort_values("step")
        plateaus.append(float(after["accuracy"].iloc[:AT_PLATEAU].mean()))
    return np.array(plateaus)


def _mirrored(split: pd.DataFrame, condition: str) -> Array:
    """Return the share of validation examples (a, b) whose mirror image (b, a) trains, (replica)."""
    shares = []
    for _, rows in split[split["condition"] == condition].groupby("replica", sort=True):
        trains = rows["split"] == "train"
        trained = set(zip(rows.loc[trains, "a"], rows.loc[trains, "b"], strict=True))
        validates = rows[~trains]
        shares.append(float(np.mean([pair in trained for pair in zip(validates["b"], validates["a"], strict=True)])))
    return np.array(shares)


def _registered(free: Array) -> Finding:
    result, verdict = decided(free, FREE, NOT_FREE)
    words = {
        SUPPORTED: "most examples whose mirror image trains are free",
        CONTRADICTED: "few examples whose mirror image trains are free",
        UNDECIDED: "it is not shown whether examples whose mirror image trains are free",
    }
    sentence = (
        "At the plateau after memorisation, a split by example has a higher validation accuracy than a split by pair,"
        f" by {written(result)} of the share of examples whose mirror image trains: {outcome(result, verdict, words)}."
        f" Over {counted(result.n, len(free))}."
    )
    return Finding(REGISTERED, UNIT, result, sentence, verdict)
