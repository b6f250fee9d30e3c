"""One number of one replica, from a series over its steps and from its events: what claims and figures read off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import Array


def steps_of_events(events: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Events of one condition as a frame: a row per replica, a column per event, NaN where censored."""
    rows = events[events["condition"] == condition]
    steps = rows["step"].where(~rows["censored"])
    return rows.assign(step=steps).pivot(index="replica", columns="event", values="step")


def value_at(series: pd.Series, step: float) -> float:
    """The value of a series (indexed by ascending step) at any step, linear between checkpoints; NaN outside."""
    return float(np.interp(step, series.index, series.to_numpy(), left=np.nan, right=np.nan)) if len(series) else np.nan


def crossing(series: pd.Series, level: float) -> float:
    """The first step, linear between those of the series, at which it reaches a level; missing if it never does."""
    reached = np.flatnonzero(series.to_numpy() >= level)
    if not len(reached):
        return float("nan")
    i = int(reached[0])
    if i == 0:
        return float(series.index[0])
    (before, after), (low, high) = series.index[i - 1 : i + 1], series.to_numpy()[i - 1 : i + 1]
    return float(before + (after - before) * (level - low) / (high - low))


def late_window(series: pd.Series, generalised: float) -> float:
    """The median over the checkpoints in the late window [t_g, 1.5 t_g], as far as it was trained; NaN if censored.

    Where no checkpoint lies in it, the value at its start.
    """
    inside = series[(series.index >= generalised) & (series.index <= 1.5 * generalised)]
    return float(inside.median()) if len(inside) else value_at(series, generalised)


def change_to_late_window(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Median over the late window minus the value at t_m, at the steps of one replica's events."""
    return late_window(series, steps["generalised"]) - value_at(series, steps["memorised"])


Contrast = Callable[[pd.Series, Mapping[str, float]], float]
"""One number of one replica: from a series over ascending steps and the steps of its events."""


def over_replicas(frame: pd.DataFrame, value: str, steps: pd.DataFrame, contrast: Contrast) -> Array:
    """A contrast of one condition's column `value`, once per row of `steps`, (replica).

    A control is read at its partner's steps: `steps` are grokking's whatever condition `frame` is. Checkpoints whose
    value is missing are left out; a replica that has none has an empty series.
    """
    kept = frame.dropna(subset=[value])
    series = {replica: rows.set_index("step")[value].sort_index() for replica, rows in kept.groupby("replica")}
    empty = pd.Series(dtype=float)
    return np.array([contrast(series.get(replica, empty), row) for replica, row in steps.iterrows()])


def steps_read(steps: Sequence[int], events: Mapping[str, float]) -> list[int]:
    """Those of the ascending steps that `change_to_late_window` reads, whatever the series.

    Where it has no value, the last one: what was asked is known then, and that nothing was found.
    """
    memorised, generalised = events["memorised"], events["generalised"]
    if not np.isfinite(memorised) or not np.isfinite(generalised):
        return list(steps[-1:])
    inside = {step for step in steps if generalised <= step <= 1.5 * generalised}
    return sorted(inside | _around(steps, memorised) | (set() if inside else _around(steps, generalised)))


def _around(steps: Sequence[int], step: float) -> set[int]:
    """The last of the steps up to this one, and the first from it on."""
    before, after = [s for s in steps if s <= step], [s for s in steps if s >= step]
    return {*before[-1:], *after[:1]}
