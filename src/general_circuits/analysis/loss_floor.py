"""Floor of training loss while validation loss falls from its peak on the plateau."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis.plateau import NAT, WIDTH, Plateau, plateau
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import steps_of_events

QUANTILE = 0.1
"""Quantile of training loss, among the steps around a step, that is its floor."""


@dataclass(frozen=True)
class Lead:
    """Losses of one replica from the peak of validation loss on; NaN where validation loss does not fall by a nat.

    Attributes:
        plateau: plateau with the peak.
        change: change of the log of the training loss's floor while validation loss falls by a nat.
        steps: steps from that fall of validation loss until the log of the floor has fallen by a nat from its value at
            the peak. They are negative where the floor falls first. If it never does, they last to the end of training.
        survives: whether the floor never falls by a nat.
    """

    plateau: Plateau
    change: float
    steps: float
    survives: bool

    @property
    def first_nat(self) -> float:
        """Steps from the peak until validation loss has fallen by a nat."""
        return self.plateau.fallen - self.plateau.peak


def floor(training: pd.Series) -> pd.Series:
    """Return the running 10 % quantile of a loss of every step, which spikes do not move."""
    return training.rolling(WIDTH, center=True, min_periods=1).quantile(QUANTILE)


def leads(losses: pd.DataFrame, events: pd.DataFrame) -> dict[int, Lead | None]:
    """Return the lead of each replica of grokking, or None for a replica without a plateau.

    Args:
        losses: the table `losses`.
        events: the table `events`, which has every replica.
    """
    steps = steps_of_events(events, BASE)
    rows = losses[losses["condition"] == BASE]
    of_replica = {replica: part.set_index("step").sort_index() for replica, part in rows.groupby("replica")}
    return {
        int(replica): _lead(of_replica[replica], row["memorised"], row["generalised"])
        if replica in of_replica
        else None
        for replica, row in steps.iterrows()
    }


def _lead(losses: pd.DataFrame, memorised: float, generalised: float) -> Lead | None:
    """Return the lead of one replica, from its columns `training` and `validation`, indexed by step."""
    found = plateau(losses["validation"], memorised, generalised)
    if found is None:
        return None
    if not np.isfinite(found.fallen):
        return Lead(found, change=float("nan"), steps=float("nan"), survives=False)
    low = np.log(floor(losses["training"])).loc[found.peak :]
    is_down = low.index[low <= low.iloc[0] - NAT]
    until = is_down[0] if len(is_down) else losses.index[-1]
    change = float(low.loc[int(found.fallen)] - low.iloc[0])
    return Lead(found, change, float(until - found.fallen), survives=not len(is_down))
