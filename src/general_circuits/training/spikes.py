"""Where a training loss spikes, and where it does not: from a record of every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

BEFORE, AFTER, LATER = 50, 200, 400
"""Steps before a spike, and after it, that its effect is read over; and until when it is asked whether that stays."""


@dataclass(frozen=True)
class Spike:
    """One spike: its first step above the threshold, and the step of its largest loss."""

    start: int
    peak: int

    @property
    def window(self) -> tuple[int, int]:
        """The steps that its effect is read between."""
        return self.start - BEFORE, self.peak + AFTER


def baseline(loss: pd.Series) -> pd.Series:
    """The median of the 50 steps before each, of a loss by step, one apart; missing where fewer are known."""
    return loss.shift(1).rolling(BEFORE).median()


def find(loss: pd.Series, threshold: float) -> list[Spike]:
    """The spikes of a loss by step, one apart, in order.

    A step is in a spike where its loss is more than `threshold` times the median of the 50 before it; such steps less
    than 50 apart are in one.
    """
    steps = loss.index.to_numpy()[(loss > threshold * baseline(loss)).to_numpy()]
    groups = np.split(steps, np.flatnonzero(np.diff(steps) >= BEFORE) + 1) if len(steps) else []
    return [Spike(int(group[0]), int(loss.loc[group[0] : group[-1]].idxmax())) for group in groups]


def listed(spikes: Sequence[Spike], losses: pd.DataFrame) -> pd.DataFrame:
    """What the record says of each, as rows of the table `spikes`.

    Args:
        spikes: found in it.
        losses: `training` and `validation` by step.
    """
    rows = []
    for spike in spikes:
        before, at = losses.loc[spike.start - BEFORE], losses.loc[spike.peak]
        of_both = {"loss": "training", "validation": "validation"}
        known = {name: at[column] for name, column in of_both.items()}
        known |= {f"{name}_before": before[column] for name, column in of_both.items()}
        rows.append({"spike": spike.peak, "kind": "spike", "step": spike.peak, **known})
    return pd.DataFrame(rows)


def inside(spikes: Sequence[Spike], first: int, last: int) -> list[Spike]:
    """Those whose whole window lies between two steps."""
    return [spike for spike in spikes if first <= spike.window[0] and spike.window[1] <= last]


def quiet(spikes: Sequence[Spike], spike: Spike, first: int, last: int) -> list[int]:
    """Steps whose own window has no part in any spike's: the nearest before a spike and after it, as far as there are.

    Args:
        spikes: all of them.
        spike: of which the nearest are looked for.
        first, last: what windows have to lie between.
    """
    centres = np.arange(first + BEFORE, last - AFTER + 1)
    is_free = np.ones(len(centres), dtype=bool)
    for other in spikes:
        begins, ends = other.window
        is_free &= (centres + AFTER < begins) | (centres - BEFORE > ends)
    free = centres[is_free]
    return [*map(int, free[free < spike.start][-1:]), *map(int, free[free > spike.peak][:1])]
