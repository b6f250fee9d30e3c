"""Spikes of a training loss, and quiet stretches beside them, found in a record of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

BEFORE, AFTER, LATER = 50, 200, 400
"""Steps that a spike's effect is measured over.

The window begins `BEFORE` steps before the spike's first step and ends `AFTER` steps after its peak. A measurement
`LATER` steps after the peak shows whether the effect lasts.
"""


@dataclass(frozen=True)
class Spike:
    """A spike of the training loss.

    Attributes:
        start: first step above the threshold.
        peak: step of the largest loss.
    """

    start: int
    peak: int

    @property
    def window(self) -> tuple[int, int]:
        """First and last step of the window that its effect is measured over."""
        return self.start - BEFORE, self.peak + AFTER


def baseline(loss: pd.Series) -> pd.Series:
    """Return the median loss of the 50 steps before each step; NaN if fewer are known.

    Args:
        loss: loss of every step, indexed by step.
    """
    return loss.shift(1).rolling(BEFORE).median()


def find(loss: pd.Series, threshold: float) -> list[Spike]:
    """Return the spikes of a loss, in order.

    A step belongs to a spike if its loss exceeds `threshold` times the median of the 50 steps before it. Two such steps
    less than 50 apart belong to the same spike.

    Args:
        loss: loss of every step, indexed by step.
        threshold: smallest ratio to the median.
    """
    steps = loss.index.to_numpy()[(loss > threshold * baseline(loss)).to_numpy()]
    # A new spike begins wherever two steps above the threshold are at least 50 apart.
    groups = np.split(steps, np.flatnonzero(np.diff(steps) >= BEFORE) + 1) if len(steps) else []
    return [Spike(int(group[0]), int(loss.loc[group[0] : group[-1]].idxmax())) for group in groups]


def listed(spikes: Sequence[Spike], losses: pd.DataFrame) -> pd.DataFrame:
    """Return the losses at each spike and before it, as rows of the table `spikes`.

    Args:
        spikes: spikes of the training loss.
        losses: columns `training` and `validation`, indexed by step.
    """
    rows = []
    for spike in spikes:
        before, at = losses.loc[spike.start - BEFORE], losses.loc[spike.peak]
        columns = {"loss": "training", "validation": "validation"}
        values = {name: at[column] for name, column in columns.items()}
        values |= {f"{name}_before": before[column] for name, column in columns.items()}
        rows.append({"spike": spike.peak, "kind": "spike", "step": spike.peak, **values})
    return pd.DataFrame(rows)


def inside(spikes: Sequence[Spike], first: int, last: int) -> list[Spike]:
    """Return the spikes whose whole window lies between two steps, both included."""
    return [spike for spike in spikes if first <= spike.window[0] and spike.window[1] <= last]


def quiet(spikes: Sequence[Spike], spike: Spike, among: range) -> list[int]:
    """Return the nearest quiet steps before and after a spike: at most one of each, fewer if there is none.

    A quiet step has a window, from `BEFORE` steps before it to `AFTER` steps after it, that overlaps no spike's window.

    Args:
        spikes: all spikes of the run.
        spike: spike whose neighbours are wanted.
        among: steps that may be quiet.
    """
    centres = np.array(among, dtype=int)
    is_free = np.ones(len(centres), dtype=bool)
    for other in spikes:
        begins, ends = other.window
        is_free &= (centres + AFTER < begins) | (centres - BEFORE > ends)
    free = centres[is_free]
    return [*map(int, free[free < spike.start][-1:]), *map(int, free[free > spike.peak][:1])]
