"""Small tables of grokking and its variants, of which is known when each generalised and how its accuracies went."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis.variants import BASE, UNTOUCHED

SETTINGS: Mapping[str, Any] = {
    "optimiser.learning_rate": 1e-3,
    "optimiser.weight_decay": 1.0,
    "optimiser.batch_size": 256,
    "optimiser.optimiser": "adamw",
    "split.split_by": "pair",
    "split.train_size": 0.65,
    "optimiser.loss": "cross_entropy",
    "optimiser.loss_precision": "float32",
    "schedule.steps": 4000,
    "examples.training": 1024,
}
"""Grokking's."""
RATE, DECAY, AT = "optimiser.learning_rate", "optimiser.weight_decay", "branch.at"
EVENTS = {"memorised": 200, "onset": 1000}
"""When grokking's came, later by its number in each replica."""
LAST = 4000

Curves = Callable[[float], tuple[float, float]]
"""Steps since an variant left → training and validation accuracy."""


def conditions(variants: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The `conditions` table: grokking, and variants by what they change; those with a place are branches."""
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        branch = {**UNTOUCHED, "branch.parent": BASE} if AT in changes else {}
        for key, value in {**SETTINGS, **branch, **changes}.items():
            rows.append((name, key, json.dumps(value), value if isinstance(value, (int, float)) else np.nan))
    return pd.DataFrame(rows, columns=["condition", "setting", "value", "number"])


def start(changes: Mapping[str, Any], replica: int) -> int:
    """Where a replica of an variant leaves grokking."""
    at = str(changes.get(AT, "step 0"))
    return EVENTS[at] + replica if at in EVENTS else int(at.split()[-1])


def events(
    variants: Mapping[str, Mapping[str, Any]], left: Mapping[str, Callable[[int], float]], replicas: int = 5
) -> pd.DataFrame:
    """The `events` table.

    Args:
        variants: as of `conditions`.
        left: by name, replica → steps from where it left grokking until it generalised, from t = 0 for grokking; beyond
            the last step it is censored.
        replicas: how many.
    """
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        for replica in range(replicas):
            begin = start(changes, replica)
            end = begin + left[name](replica)
            came = {event: step + replica for event, step in EVENTS.items()}
            found = {**came, "generalised": end, **({"branched": begin} if AT in changes else {})}
            rows += [(name, replica, event, min(step, LAST), step > LAST) for event, step in found.items()]
    return pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])


def metrics(
    variants: Mapping[str, Mapping[str, Any]], curves: Mapping[str, Curves] | None = None, replicas: int = 5
) -> pd.DataFrame:
    """The `metrics` table: an variant's accuracies as told, grokking's perfect on training examples and 0 on others."""
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        for replica in range(replicas):
            begin = start(changes, replica)
            for step in sorted({begin, *(EVENTS[event] + replica for event in EVENTS), *range(0, LAST + 1, 100)}):
                if step < begin:
                    continue
                train, validation = (curves or {}).get(name, lambda since: (1.0, 0.0))(step - begin)
                for split, accuracy in (("train", train), ("validation", validation)):
                    loss = float(np.exp(-accuracy) * (1 + 0.1 * np.sin(step * (1 + replica))))
                    rows.append((name, replica, step, split, accuracy, loss))
    frame = pd.DataFrame(rows, columns=["condition", "replica", "step", "split", "accuracy", "loss"])
    return frame.assign(condition=pd.Categorical(frame["condition"], categories=[BASE, *variants]), diverged=False)


def study(
    variants: Mapping[str, Mapping[str, Any]],
    left: Mapping[str, Callable[[int], float]],
    curves: Mapping[str, Curves] | None = None,
    replicas: int = 5,
) -> dict[str, pd.DataFrame]:
    """All three."""
    found = {"conditions": conditions(variants), "events": events(variants, left, replicas)}
    return {**found, "metrics": metrics(variants, curves, replicas)}
