"""Gains of validation accuracy after memorisation, read at a multiple of grokking's t_g."""

from __future__ import annotations

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_rise import plateau_level
from general_circuits.analysis.windows import steps_of_events

HORIZON = 5
"""Horizon over grokking's t_g."""


def gains(metrics: pd.DataFrame, events: pd.DataFrame, condition: str, horizons: pd.Series) -> pd.DataFrame:
    """Return how much validation accuracy one condition gains after t_m, up to a horizon of each replica.

    The accuracy is read at the first evaluation from the horizon on. Where training ended before, it is read at the
    end. The gain is this accuracy minus the plateau, which is the mean of three evaluations from t_m on.

    Args:
        metrics, events: the tables of these names.
        condition: the condition that is read.
        horizons: step of the horizon, by replica; NaN where the replica has none.

    Returns:
        By replica, in the order of `horizons`:

        - `last`: last evaluated step.
        - `memorised`: whether t_m is among the evaluations up to the one that is read.
        - `alive`: whether training had not diverged by then.
        - `gain`: NaN without a horizon, where the replica had not memorised, or where it had diverged.
    """
    rows = metrics[metrics["condition"] == condition]
    memorised = steps_of_events(events, condition)["memorised"].reindex(horizons.index)
    read = [_read(rows, condition, int(str(i)), memorised[i], horizon) for i, horizon in horizons.items()]
    columns = ["last", "memorised", "alive", "gain"]
    return pd.DataFrame(read, index=horizons.index, columns=columns)


def _read(
    metrics: pd.DataFrame, condition: str, replica: int, memorised: float, horizon: float
) -> tuple[int, bool, bool, float]:
    """Return one row of `gains`."""
    accuracy = variant_outcomes.curves(metrics, condition, replica)["validation"]
    last = int(accuracy.index[-1])
    # Without a horizon the end is looked at, so that the other columns still say how training went.
    after = accuracy.index[accuracy.index >= horizon]
    at = int(after[0]) if len(after) else last
    diverged = metrics.loc[(metrics["replica"] == replica) & (metrics["step"] <= at), "diverged"]
    has_memorised, is_alive = bool(memorised <= at), not diverged.any()
    gain = np.nan
    if has_memorised and is_alive and np.isfinite(horizon):
        gain = float(accuracy[at] - plateau_level(accuracy, memorised))
    return last, has_memorised, is_alive, gain
