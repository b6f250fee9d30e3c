"""Plateau of a replica, from 2 t_m on, and the peak from which its validation loss falls a nat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

WIDTH = 51
"""Number of steps around a step over which losses are smoothed: 25 on either side, and fewer at the ends."""
NAT = 1.0
"""Fall of validation loss, in nats, that ends the plateau."""


@dataclass(frozen=True)
class Plateau:
    """Steps between memorising and generalising.

    Attributes:
        steps: from 2 t_m on, up to t_g or to the fall by a nat, both left out. Without either, up to the end.
        peak: step of the largest smoothed validation loss from 2 t_m on and before t_g.
        fallen: first step after the peak at which smoothed validation loss is a nat lower; NaN if it never is.
    """

    steps: range
    peak: int
    fallen: float

    @property
    def rises(self) -> bool:
        """Tell whether validation loss rises to its peak on the plateau, so that the peak is not the first step."""
        return self.peak > self.steps.start


def smoothed(validation: pd.Series) -> pd.Series:
    """Return the running median of a loss of every step, which spikes do not move."""
    return validation.rolling(WIDTH, center=True, min_periods=1).median()


def plateau(validation: pd.Series, memorised: float, generalised: float) -> Plateau | None:
    """Return the plateau of one replica; None if it never memorised, or had no delay, so that t_g is not after 2 t_m.

    Args:
        validation: validation loss of every step from t_m on, indexed by step. Steps that are not finite are left out.
        memorised, generalised: t_m and t_g; NaN where they were not reached.
    """
    losses = smoothed(validation[np.isfinite(validation)])
    if not np.isfinite(memorised) or losses.empty:
        return None
    first, end = int(2 * memorised), int(losses.index[-1]) + 1
    stop = int(generalised) if np.isfinite(generalised) else end
    inside = losses.loc[first : stop - 1]
    if inside.empty:
        return None
    peak = int(inside.idxmax())
    after = losses.loc[peak:]
    is_down = after.index[after <= after.iloc[0] - NAT]
    fallen = float(is_down[0]) if len(is_down) else float("nan")
    last = min(stop, int(is_down[0])) if len(is_down) else stop
    return Plateau(range(first, last), peak, fallen)
