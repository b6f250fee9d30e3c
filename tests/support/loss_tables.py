"""Losses of every step whose peak and floor are known, as tables `losses` and `events`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

MEMORISED, PEAK, GENERALISED, LAST = 100, 1000, 2500, 3000
NAT = 500
"""Steps that validation loss takes to fall by a nat from its peak, or to rise by one before it."""
STEPS = np.arange(MEMORISED, LAST + 1)

Curve = Callable[[np.ndarray, int], np.ndarray]
"""Function: steps, replica → a loss at these steps."""


def validation(steps: np.ndarray, replica: int) -> np.ndarray:
    """Return a loss that overshoots up to 2 t_m, and on the plateau rises to 6 and falls again."""
    return np.where(steps < 2 * MEMORISED, 30.0, 6 - np.abs(steps - PEAK) / NAT)


def falling(change: float, begins: int = PEAK, lasts: int = NAT) -> Curve:
    """Return a training loss whose log changes evenly by `change`, and stays from then on."""
    return lambda steps, replica: (
        1e-3 * np.exp(change * np.clip((steps - begins) / lasts, 0, 1) + 0.002 * np.sin(replica))
    )


def losses(training: Curve, validation: Curve = validation, replicas: int = 5) -> pd.DataFrame:
    """Build the `losses` table of grokking."""
    names = {"condition": "grokking", "step": STEPS}
    return pd.concat(
        [
            pd.DataFrame({**names, "replica": r, "training": training(STEPS, r), "validation": validation(STEPS, r)})
            for r in range(replicas)
        ],
        ignore_index=True,
    )


def events(
    memorised: Sequence[int | None] = (MEMORISED,) * 5, generalised: Sequence[int | None] = (GENERALISED,) * 5
) -> pd.DataFrame:
    """Build the `events` table of grokking from the steps of each replica; None is censored at the last step."""
    rows = [
        ("grokking", replica, event, LAST if step is None else step, step is None)
        for event, steps in (("memorised", memorised), ("generalised", generalised))
        for replica, step in enumerate(steps)
    ]
    return pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
