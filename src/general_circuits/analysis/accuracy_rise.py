"""Rises of accuracies to 1: when they begin and end, for claims and figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.windows import crossing, steps_of_events

FROM, TO = 0.05, 0.95
"""Shares of the way to 1 at which a rise begins and ends."""
AT_PLATEAU = 3
"""Number of evaluations from t_m on that the plateau is the mean of."""


@dataclass(frozen=True)
class Rise:
    """Rises of one replica's accuracies; a value is NaN where the accuracy did not get that far.

    Attributes:
        start, end: steps at which validation accuracy has gone 5 % and 95 % of the way from its plateau to 1.
        share: (end − start) / end, the share of the training time that the rise takes.
        share_of_distance: the same share on a clock of the distance that the weights have travelled.
        memorisation_share: the same share for training accuracy, whose rise starts from its first value.
        memorisation_steps: steps from 5 % to 95 % of the rise of training accuracy.
    """

    start: float
    end: float
    share: float
    share_of_distance: float
    memorisation_share: float
    memorisation_steps: float

    @property
    def steps(self) -> float:
        """Steps from 5 % to 95 % of the rise of validation accuracy."""
        return self.end - self.start


def rises(metrics: pd.DataFrame, events: pd.DataFrame, condition: str) -> list[Rise]:
    """Return one rise for each replica of a condition, by replica number, from the tables `metrics` and `events`."""
    memorised = steps_of_events(events, condition)["memorised"]
    return [_rise(metrics, condition, replica, step) for replica, step in memorised.items()]


def _rise(metrics: pd.DataFrame, condition: str, replica: int, memorised: float) -> Rise:
    accuracy = variant_outcomes.curves(metrics, condition, replica)
    distance = variant_outcomes.curves(metrics, condition, replica, "distance")["train"]
    memorisation = _ends(accuracy["train"], float(accuracy["train"].iloc[0]) if len(accuracy) else np.nan)
    start = end = float("nan")
    if np.isfinite(memorised):
        start, end = _ends(accuracy["validation"].loc[memorised:], plateau_level(accuracy["validation"], memorised))
    travelled = np.interp([start, end], distance.index, distance.to_numpy()) if np.isfinite(end) else [np.nan, np.nan]
    return Rise(
        start,
        end,
        _share(start, end),
        _share(*travelled),
        _share(*memorisation),
        memorisation[1] - memorisation[0],
    )


def plateau_level(accuracy: pd.Series, memorised: float) -> float:
    """Return the accuracy of the plateau after t_m, as in the definition of t_g: the mean of three evaluations.

    Args:
        accuracy: accuracy by ascending step.
        memorised: t_m; NaN gives NaN.
    """
    return float(accuracy[accuracy.index >= memorised].iloc[:AT_PLATEAU].mean())


def _ends(series: pd.Series, level: float) -> tuple[float, float]:
    """Return the steps at which a series has gone 5 % and 95 % of the way from `level` to 1."""
    return crossing(series, level + FROM * (1 - level)), crossing(series, level + TO * (1 - level))


def _share(start: float, end: float) -> float:
    return float((end - start) / end) if end > 0 else float("nan")
