"""Small tables of grokking and its variants; steps to generalise, accuracies and progress are given by the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis.variants import BASE, UNTOUCHED

SETTINGS: Mapping[str, Any] = {
    "task.formulas": ["x+y"],
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
"""Settings of grokking."""
RATE, DECAY, AT = "optimiser.learning_rate", "optimiser.weight_decay", "branch.at"
BATCH, FRACTION, INSTEAD = "optimiser.batch_size", "split.train_size", "branch.intervention.noise_instead"
NOISE_EXAMPLES = "branch.intervention.noise_examples"
ALONE = {AT: "onset", "optimiser.optimiser": "sgd", "optimiser.decay": "decoupled", "branch.lasts": 200}
MOVED = {
    "decaying": {**ALONE, INSTEAD: 0.0},
    "noisy": {**ALONE, INSTEAD: 1.0, DECAY: 0.0},
    "of_batches": {**ALONE, INSTEAD: 1.0, NOISE_EXAMPLES: 64, DECAY: 0.0},
}
"""Branches in which only decay, Gaussian noise or the noise of minibatches moves the weights for 200 steps."""
NEVER = 1e6
"""Steps to generalise that lie beyond the end of training."""
EVENTS = {"memorised": 200, "onset": 1000}
"""Steps of grokking's events in replica 0; each replica is later by its number."""
LAST = 4000

Curves = Callable[[float], tuple[float, float]]
"""Function: steps since a variant left grokking → training and validation accuracy."""


def conditions(variants: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Build the `conditions` table of grokking and variants, given by their changes; one of `AT` makes a branch."""
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        branch = {**UNTOUCHED, "branch.parent": BASE} if AT in changes else {}
        for key, value in {**SETTINGS, **branch, **changes}.items():
            rows.append((name, key, json.dumps(value), value if isinstance(value, (int, float)) else np.nan))
    return pd.DataFrame(rows, columns=["condition", "setting", "value", "number"])


def start(changes: Mapping[str, Any], replica: int) -> int:
    """Return the step at which a replica of a variant leaves grokking."""
    at = str(changes.get(AT, "step 0"))
    return EVENTS[at] + replica if at in EVENTS else int(at.split()[-1])


def events(
    variants: Mapping[str, Mapping[str, Any]], left: Mapping[str, Callable[[int], float]], replicas: int = 5
) -> pd.DataFrame:
    """Build the `events` table.

    Args:
        variants: changes by name, as for `conditions`.
        left: by name, a function: replica → steps until it generalised, from the place at which it left grokking. For
            grokking they count from step 0. Beyond the last step it is censored.
        replicas: number of replicas.
    """
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        for replica in range(replicas):
            begin = start(changes, replica)
            end = begin + left[name](replica)
            came = {event: step + replica for event, step in EVENTS.items()}
            steps = {**came, "generalised": end, **({"branched": begin} if AT in changes else {})}
            rows += [(name, replica, event, min(step, LAST), step > LAST) for event, step in steps.items()]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    return frame.assign(after=frame["step"] - ~frame["censored"])  # evaluated at every step


def metrics(
    variants: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, Curves] | None = None,
    replicas: int = 5,
    every: int = 100,
) -> pd.DataFrame:
    """Build the `metrics` table, with an evaluation in `every` so many steps.

    A condition that `curves` lacks has training accuracy 1 and validation accuracy 0.
    """
    rows = []
    for name, changes in {BASE: {}, **variants}.items():
        for replica in range(replicas):
            begin = start(changes, replica)
            for step in sorted({begin, *(EVENTS[event] + replica for event in EVENTS), *range(0, LAST + 1, every)}):
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
    every: int = 100,
) -> dict[str, pd.DataFrame]:
    """Build the three tables `conditions`, `events` and `metrics`, with arguments as for each of them."""
    return {
        "conditions": conditions(variants),
        "events": events(variants, left, replicas),
        "metrics": metrics(variants, curves, replicas, every),
    }


def decays(power: float, others: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, pd.DataFrame]:
    """Build a study in which t_g is 2,000 times this power of the weight decay; with `others`, which never generalise.

    Weight decays are 0.5, 1 and 2; without decay nothing generalises.
    """
    variants = {f"decay_{i}": {DECAY: decay} for i, decay in enumerate((0.0, 0.5, 2.0))}
    left: dict[str, Callable[[int], float]] = {"grokking": lambda r: 2000.0 + r, "decay_0": lambda r: NEVER}
    for i, decay in ((1, 0.5), (2, 2.0)):
        left[f"decay_{i}"] = lambda r, decay=decay: 2000 * decay**power * (1 + 0.01 * np.sin(r + decay))
    others = others or {}
    return study({**variants, **others}, {**left, **dict.fromkeys(others, lambda r: NEVER)})


def progress(
    general: float, shallow: float, condition: str = "decaying", replicas: int = 5, accuracy: float = 0.9
) -> pd.DataFrame:
    """Build the `progress` table of a branch that is changed for 200 steps from step 1,000 on.

    These shares of the general and of the shallow part are lost by then, a little more in each further replica; all of
    both parts is lost later. The parts start at 4 and 6 logits. With key frequencies from after the branch, half of the
    general part counts as shallow. Training accuracy is 1 at first, as given after 200 steps, and 0 at last.
    """
    rows = []
    for replica in range(replicas):
        for step, done in ((1000, 0.0), (1100, 0.5), (1200, 1.0), (3000, None)):
            left = [0.0 if done is None else 1 - done * share * (1 + 0.02 * replica) for share in (general, shallow)]
            parts = {"unseen": 4 * left[0], "unseen_after": 2 * left[0], "all": 4 * left[0] + 6 * left[1]}
            answered = 0.0 if done is None else 1 - done * (1 - accuracy)
            rows += [(condition, replica, step, "train", name, value, answered) for name, value in parts.items()]
    columns = ["condition", "replica", "step", "split", "component", "part_of_margin", "accuracy"]
    return pd.DataFrame(rows, columns=columns).assign(is_scheduled=True)


def structure(displacement: float, condition: str = "decaying", replicas: int = 5) -> pd.DataFrame:
    """Build the `structure` table of such a branch, which has moved weights of norm 50 by this much after 200 steps."""
    rows = [
        (condition, replica, step, 50.0 if share == 0 else 40.0, share * displacement)
        for replica in range(replicas)
        for step, share in ((1000, 0.0), (1100, 0.5), (1200, 1.0), (3000, 7.0))
    ]
    columns = ["condition", "replica", "step", "weight_norm", "displacement"]
    return pd.DataFrame(rows, columns=columns).assign(is_scheduled=True)
