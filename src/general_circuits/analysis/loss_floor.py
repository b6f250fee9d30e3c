"""How validation loss falls from its peak, and what the floor of training loss does meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import BASE

AROUND, QUANTILE = 7, 0.1
"""Evaluations that a floor is of, and which part of them lies below it."""
FALLEN = -0.5
"""Of the floor's logarithm, what counts as having fallen."""


@dataclass(frozen=True)
class Lead:
    """What one replica's losses did from the peak of validation loss on; missing where it did not fall by a nat.

    Validation loss is its running median here, which a spike does not move.

    Attributes:
        peak: the step of the largest validation loss.
        fallen: the first step from there at which it is a nat lower.
        change: of the log of the floor of training loss, meanwhile; missing where so few evaluations lie between that
            both floors would be of the same ones.
        change_of_loss: of the floor itself, nats.
        until_floor: steps from the peak until the floor has fallen by half a unit, or to the end.
    """

    peak: float
    fallen: float
    change: float
    change_of_loss: float
    until_floor: float

    @property
    def first_nat(self) -> float:
        """Steps that it took."""
        return self.fallen - self.peak


def floor(losses: pd.Series) -> pd.Series:
    """The 10 % quantile of a series over the evaluations around each."""
    return losses.rolling(AROUND, center=True, min_periods=1).quantile(QUANTILE)


def leads(metrics: pd.DataFrame) -> dict[int, Lead]:
    """Grokking's, by replica, as far as it has not diverged."""
    rows = metrics[(metrics["condition"] == BASE) & ~metrics["diverged"]]
    return {
        int(replica): _lead(variant_outcomes.curves(rows, BASE, replica, "loss"))
        for replica in sorted(rows["replica"].unique())
    }


def _lead(losses: pd.DataFrame) -> Lead:
    smooth = losses["validation"].rolling(AROUND, center=True, min_periods=1).median()
    peak = smooth.idxmax()
    after = smooth.loc[peak:]
    fallen = after.index[after <= after.iloc[0] - 1]
    if not len(fallen):
        return Lead(float(peak), *[float("nan")] * 4)
    low = floor(losses["train"])
    is_down = low.loc[peak:].index[np.log(low.loc[peak:]) <= np.log(low[peak]) + FALLEN]
    until = (is_down[0] if len(is_down) else losses.index[-1]) - peak
    there = fallen[0]
    if losses.index.get_loc(there) - losses.index.get_loc(peak) < AROUND:
        return Lead(float(peak), float(there), float("nan"), float("nan"), float(until))
    change = float(np.log(low[there] / low[peak]))
    return Lead(float(peak), float(there), change, float(low[there] - low[peak]), float(until))
