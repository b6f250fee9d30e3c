"""How accuracies rise, as claims and figures read them off the metrics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.windows import crossing, steps_of_events

FROM, TO = 0.05, 0.95
"""Of a rise, what counts as its beginning and its end."""


@dataclass(frozen=True)
class Rise:
    """One replica's rises; what was not reached is missing.

    Attributes:
        start, end: steps at which validation accuracy has made 5 % and 95 % of its way.
        share: of the steps until the end, those since the start.
        share_of_distance: the same of the distance that weights travelled.
        memorisation_share: of training accuracy's own rise, from where it began.
        memorisation_steps: that this rise took.
    """

    start: float
    end: float
    share: float
    share_of_distance: float
    memorisation_share: float
    memorisation_steps: float

    @property
    def steps(self) -> float:
        return self.end - self.start


def rises(metrics: pd.DataFrame, events: pd.DataFrame, condition: str) -> list[Rise]:
    """One for each replica of a condition, from `metrics` and `events`."""
    memorised = steps_of_events(events, condition)["memorised"]
    return [_rise(metrics, condition, replica, step) for replica, step in memorised.items()]


def _rise(metrics: pd.DataFrame, condition: str, replica: int, memorised: float) -> Rise:
    accuracy = variant_outcomes.curves(metrics, condition, replica)
    distance = variant_outcomes.curves(metrics, condition, replica, "distance")["train"]
    own = _ends(accuracy["train"], float(accuracy["train"].iloc[0]) if len(accuracy) else np.nan)
    start = end = float("nan")
    if np.isfinite(memorised):
        after = accuracy["validation"].loc[memorised:]
        start, end = _ends(after, float(after.iloc[:3].mean()))
    travelled = np.interp([start, end], distance.index, distance.to_numpy()) if np.isfinite(end) else [np.nan, np.nan]
    return Rise(start, end, _share(start, end), _share(*travelled), _share(*own), own[1] - own[0])


def _ends(series: pd.Series, begins: float) -> tuple[float, float]:
    """Where a series has made 5 % and 95 % of its way to 1 from where it begins."""
    return crossing(series, begins + FROM * (1 - begins)), crossing(series, begins + TO * (1 - begins))


def _share(start: float, end: float) -> float:
    return float((end - start) / end) if end > 0 else float("nan")
