"""Small `metrics` and `events` tables of grokking whose curves are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

STEPS = np.arange(0, 4001, 50)
Series = Callable[[np.ndarray, int], np.ndarray]
"""Function: steps, replica → a metric's values at these steps."""
PROBABILITIES = ("correct_probability", "correct_probability_q10", "correct_probability_q90")


def table(condition: str = "grokking", replicas: int = 5, **columns: Series) -> pd.DataFrame:
    """Build a `metrics` table; a column of one split is named `train_loss`, and a column that is not given is 0."""
    frames = []
    for replica in range(replicas):
        for split in ("train", "validation"):
            frame = pd.DataFrame({"step": STEPS, "split": split, "replica": replica, "condition": condition})
            for column in ("accuracy", "loss", "distance", *PROBABILITIES):
                of = columns.get(f"{split}_{column}", columns.get(column))
                frame[column] = of(STEPS, replica) if of else 0.0
            frames.append(frame)
    return pd.concat(frames, ignore_index=True).assign(diverged=False)


def events(memorised: int | None = 100, onset: int | None = 1000, replicas: int = 5) -> pd.DataFrame:
    """Build grokking's `events` table; an event whose step is None is censored at the last step."""
    rows = [
        ("grokking", replica, event, step or STEPS[-1], step is None)
        for replica in range(replicas)
        for event, step in (("memorised", memorised), ("onset", onset))
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    return frame.assign(after=frame["step"] - 50 * ~frame["censored"])


def rising(start: float, end: float) -> Series:
    """Return a series that rises linearly from 0 to 1; each replica is later by its number."""
    return lambda steps, replica: np.clip((steps - start - replica) / (end - start), 0, 1)
