"""Fall of validation loss from its peak, and the floor of training loss over the same steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import BASE

AROUND, QUANTILE = 7, 0.1
"""Number of evaluations that a floor is taken over, and its quantile among them."""
FALLEN = -0.5
"""Change of the floor's natural logarithm from which on the floor counts as having fallen."""


@dataclass(frozen=True)
class Lead:
    """Losses of one replica from the peak of validation loss on; NaN where it does not fall by a nat.

    Validation loss is its running median, which a spike does not move.

    Attributes:
        peak: the step of the largest validation loss.
        fallen: the first step after it at which validation loss is a nat lower.
        change: change of the log of the training loss's floor from `peak` to `fallen`. NaN where fewer than seven
            evaluations lie between, since both floors would be taken over some of the same evaluations.
        change_of_loss: change of the floor itself between the same steps, nats.
        until_floor: steps from the peak until the floor has fallen by half a log unit, or to the end.
    """

    peak: float
    fallen: float
    change: float
    change_of_loss: float
    until_floor: float

    @property
    def first_nat(self) -> float:
        """Steps from the peak until validation loss has fallen by a nat."""
        return self.fallen - self.peak


def floor(losses: pd.Series) -> pd.Series:
    """Return the 10 % quantile of a series over the seven evaluations around each one."""
    return losses.rolling(AROUND, center=True, min_periods=1).quantile(QUANTILE)


def leads(metrics: pd.DataFrame) -> dict[int, Lead]:
    """Return the lead of each replica of grokking, from the table `metrics`; diverged evaluations are left out."""
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
    end = fallen[0]
    if losses.index.get_loc(end) - losses.index.get_loc(peak) < AROUND:
        return Lead(float(peak), float(end), float("nan"), float("nan"), float(until))
    change = float(np.log(low[end] / low[peak]))
    return Lead(float(peak), float(end), change, float(low[end] - low[peak]), float(until))
