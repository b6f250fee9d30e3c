"""Claim: with x + y in training and y + x in validation, about half of validation is free.

Registered for the condition that differs from grokking only in a split by example:

- The plateau is the mean accuracy of the three evaluations from t_m on. Mirrored examples are the validation examples
  whose mirror image trains.
- The estimate is the share of mirrored examples that are free: their plateau minus that of unmirrored examples of the
  same network. The latter says what is right without a mirror image. The estimate is 1 if only mirrored examples are
  right, and all of them. Supported above 0.5, contradicted below 0.25.
- Precondition: both conditions memorise in at least four fifths of the replicas, and each replica has at least 20
  examples of both kinds. A plateau without memorisation, or of a few examples, says nothing.
- The first version divided the difference of grokking's plateau and this one by the share of examples that are
  mirrored. All validation examples took part, so unmirrored examples above chance moved it, and 1 was not its largest
  value. The second version took the plateau of grokking, which is split by pair, for what is right without a mirror
  image. That is another network, with other training examples. Both stand beside. The third version was registered
  after the second one's result was seen; it is the stricter one, and no verdict changed.
- Beside it: the plateau of mirrored examples, and of the others; and the share that is mirrored. Other operations with
  a split by example are shown, too; x / y and composition in S5 do not commute.
- A replica without t_m has no plateau; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_rise import plateau_level
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import Array
from general_circuits.analysis.preconditions import unmet
from general_circuits.analysis.variants import BASE, differences
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

RULE = Rule(supported=0.5, contradicted=0.25)
ENOUGH = 20
"""Least number of mirrored examples of a replica, and of unmirrored ones."""
SPLIT_BY = "split.split_by"
FREE, SHARE = "share of mirrored examples", "share of examples"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `metrics` and `split` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    by_example = [name for name in conditions if conditions[name][SPLIT_BY] == "example"]
    registered = next(name for name in by_example if differences(conditions, name).keys() == {SPLIT_BY})
    of_grokking = _plateau(tables, BASE, "validation")
    beyond = (_plateau(tables, registered, "validation_mirrored") - of_grokking) / (1 - of_grokking)
    gained = _plateau(tables, registered, "validation") - of_grokking
    former = gained / _shares(_mirrored(tables["split"], registered))
    findings = [
        _registered(tables, registered),
        beside("mirrored examples right beyond grokking's plateau", FREE, beyond),
        beside("higher plateau over the share mirrored, all validation examples", FREE, former),
    ]
    for name in by_example:
        parts = {
            "share whose mirror image trains": _shares(_mirrored(tables["split"], name)),
            "plateau": _plateau(tables, name, "validation"),
            "plateau of mirrored examples": _plateau(tables, name, "validation_mirrored"),
            "plateau of unmirrored examples": _plateau(tables, name, "validation_unmirrored"),
        }
        for what, values in parts.items():
            findings.append(beside(f"{what}, {name}", SHARE, values, is_change=False))
    return findings


def _plateau(tables: Mapping[str, pd.DataFrame], condition: str, split: str) -> Array:
    """Return the plateau of accuracy at t_m on one part of the examples, (replica)."""
    plateaus = []
    metrics = tables["metrics"]
    rows = metrics[(metrics["condition"] == condition) & (metrics["split"] == split)]
    for replica, memorised in steps_of_events(tables["events"], condition)["memorised"].items():
        accuracy = rows[rows["replica"] == replica].set_index("step")["accuracy"].sort_index()
        plateaus.append(plateau_level(accuracy, memorised))
    return np.array(plateaus)


def _mirrored(split: pd.DataFrame, condition: str) -> list[Array]:
    """Return whether the mirror image (b, a) of each validation example (a, b) trains: an array for each replica."""
    are = []
    for _, rows in split[split["condition"] == condition].groupby("replica", sort=True):
        trains = rows["split"] == "train"
        trained = set(zip(rows.loc[trains, "a"], rows.loc[trains, "b"], strict=True))
        validates = rows[~trains]
        are.append(np.array([pair in trained for pair in zip(validates["b"], validates["a"], strict=True)]))
    return are


def _shares(mirrored: list[Array]) -> Array:
    """Return the share of validation examples that are mirrored, (replica)."""
    return np.array([float(np.mean(of_replica)) for of_replica in mirrored])


def _registered(tables: Mapping[str, pd.DataFrame], condition: str) -> Finding:
    steps = {name: steps_of_events(tables["events"], name)["memorised"] for name in (BASE, condition)}
    if reason := unmet({f"{name} memorised": of.notna() for name, of in steps.items()}):
        return not_testable(reason)
    are_mirrored = _mirrored(tables["split"], condition)
    for kind, is_kind in (("mirrored", True), ("unmirrored", False)):
        fewest = min(int((of_replica == is_kind).sum()) for of_replica in are_mirrored)
        if fewest < ENOUGH:
            return not_testable(f"a replica has {fewest} {kind} examples, fewer than {ENOUGH}")
    mirrored, unmirrored = (_plateau(tables, condition, f"validation_{kind}") for kind in ("mirrored", "unmirrored"))
    decision = decide(mirrored - unmirrored, RULE)
    words = {
        SUPPORTED: "most of them are free",
        CONTRADICTED: "few of them are free",
        BETWEEN: "some of them are free, but not most",
        UNDECIDED: "it is not shown how many are free",
    }
    sentence = (
        "At the plateau after memorisation, validation examples whose mirror image trains are right more often than"
        f" the others of the same network, by {written(decision.estimate)}: {outcome(decision, words)}."
    )
    return primary(REGISTERED, FREE, decision, sentence)
