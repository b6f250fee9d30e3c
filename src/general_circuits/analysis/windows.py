"""Windows of a replica's training: one number from a series over steps and the steps of its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import Array


def steps_of_events(events: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the steps of one condition's events: a row per replica, a column per event, NaN where censored."""
    rows = events[events["condition"] == condition]
    steps = rows["step"].where(~rows["censored"])
    return rows.assign(step=steps).pivot(index="replica", columns="event", values="step")


def value_at(series: pd.Series, step: float) -> float:
    """Return the value of a series, indexed by step, at a step that was measured; NaN at any other step.

    Nothing is interpolated. Between two checkpoints a network may have memorised everything.
    """
    return float(series.loc[step]) if np.isfinite(step) and step in series.index else float("nan")


def time_mean(series: pd.Series, start: float, end: float) -> float:
    """Return the mean of a series over the time from one step to another.

    The series is linear between evaluations, so its integral is a sum of trapezoids. Evaluations that crowd a part of
    the window do not give that part more weight.

    Args:
        series: values by ascending step.
        start, end: steps. Where they are equal, the mean is the value there.

    Returns:
        NaN where an end was not evaluated, or where `end` comes before `start`. Events are evaluated steps.
    """
    ends = value_at(series, start), value_at(series, end)
    if not np.isfinite(ends).all() or end < start:
        return float("nan")
    if start == end:
        return ends[0]
    inside = series.loc[start:end]
    return float(np.trapezoid(inside.to_numpy(float), inside.index.to_numpy(float))) / (end - start)


def crossing(series: pd.Series, level: float) -> float:
    """Return the first step at which a series reaches a level, linear between its steps; NaN if it never does."""
    reached = np.flatnonzero(series.to_numpy() >= level)
    if not len(reached):
        return float("nan")
    i = int(reached[0])
    if i == 0:
        return float(series.index[0])
    (before, after), (low, high) = series.index[i - 1 : i + 1], series.to_numpy()[i - 1 : i + 1]
    return float(before + (after - before) * (level - low) / (high - low))


def late_window(series: pd.Series, generalised: float) -> float:
    """Return the median over the checkpoints in the late window [t_g, 1.5 t_g]; NaN if t_g is censored.

    A window that reaches beyond the end of training is cut there.
    """
    inside = series[(series.index >= generalised) & (series.index <= 1.5 * generalised)]
    return float(inside.median()) if len(inside) else float("nan")


def change_to_late_window(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Return the median over the late window minus the value at the baseline; `steps` are one replica's moments.

    NaN where the replica memorised only within the late window: then it has no baseline before it.
    """
    baseline, generalised = steps["baseline"], steps["generalised"]
    if not baseline < generalised:  # also where either is NaN
        return float("nan")
    return late_window(series, generalised) - value_at(series, baseline)


Contrast = Callable[[pd.Series, Mapping[str, float]], float]
"""Function that reads one number off one replica: series over ascending steps, steps of its moments → number."""


def over_replicas(frame: pd.DataFrame, value: str, steps: pd.DataFrame, contrast: Contrast) -> Array:
    """Apply a contrast to one condition's column `value`, for each row of `steps`, (replica).

    `steps` are the condition's moments, so a control is read at its partner's steps. Checkpoints without a value are
    left out; a replica without any has an empty series.
    """
    kept = frame.dropna(subset=[value])
    series = {replica: rows.set_index("step")[value].sort_index() for replica, rows in kept.groupby("replica")}
    empty = pd.Series(dtype=float)
    return np.array([contrast(series.get(replica, empty), row) for replica, row in steps.iterrows()])


def at_common_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one condition at steps that every replica has, so that means over replicas are comparable.

    Moments are steps of single replicas.
    """
    counts = rows.groupby("step")["replica"].transform("nunique")
    return rows[counts == rows["replica"].nunique()]


def steps_read(steps: Sequence[int], moments: Mapping[str, float]) -> list[int]:
    """Return the steps that `change_to_late_window` reads, whatever the series: the baseline and the late window.

    Where an event is censored, nothing is read. Then it is the last step alone, so that a table has rows all the same,
    which show that the measurement was made.

    Args:
        steps: measured steps, ascending.
        moments: steps of one replica's moments.
    """
    baseline, generalised = moments["baseline"], moments["generalised"]
    if not np.isfinite(baseline) or not np.isfinite(generalised):
        return list(steps[-1:])
    return [step for step in steps if step == baseline or generalised <= step <= 1.5 * generalised]
