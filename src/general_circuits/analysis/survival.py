"""Survival analysis: times until an event, known to lie between two evaluations or censored; pure functions of arrays.

A censored time is the time until which the event had not happened.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from general_circuits.analysis import interval_regression

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Median:
    """Median time with its 95 % interval; infinite where the share never falls to a half, NaN without subjects."""

    time: float
    low: float
    high: float


@dataclass(frozen=True)
class Slopes:
    """Slope of log time on x, and the data that it rests on.

    Attributes:
        values: pseudo-value of each replica, by replica number, (replica). NaN for a replica without a known time.
        fitted: values of x at which some replica's time is known, in ascending order. The slope rests on these.
        bounds: values of x at which no replica's time is known, in ascending order. They give bounds alone.
        censored: share of the fitted times that are censored; NaN where nothing is fitted.
    """

    values: Array
    fitted: tuple[float, ...]
    bounds: tuple[float, ...]
    censored: float


def kaplan_meier(times: ArrayLike, censored: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Return the share of subjects without the event by time (Kaplan and Meier 1958), with its 95 % interval.

    The interval is Greenwood's, on the scale of log(−log). Subjects whose time is missing are left out.

    Args:
        times: (subject). NaN where missing.
        censored: whether each time is censored, (subject).

    Returns:
        Times at which the share falls, the share from then on, and the ends of its interval, each (time).
    """
    from scipy import stats

    times, censored = np.asarray(times, float), np.asarray(censored, bool)
    known = ~np.isnan(times)
    if not known.any():
        nothing = np.empty(0)
        return nothing, nothing, nothing, nothing
    data = stats.CensoredData.right_censored(times[known], censored[known])
    survival = stats.ecdf(data).sf
    with warnings.catch_warnings():
        # SciPy warns where the interval is undefined, at shares of 0 and 1. Such ends become 0 and 1 below.
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = survival.confidence_interval(method="log-log")
    low, high = (
        np.nan_to_num(bound.probabilities, nan=share) for bound, share in ((bounds.low, 0.0), (bounds.high, 1.0))
    )
    falls = np.diff(survival.probabilities, prepend=1.0) < 0
    return survival.quantiles[falls], survival.probabilities[falls], low[falls], high[falls]


def median_time(times: ArrayLike, censored: ArrayLike) -> Median:
    """Return the first time by which half of the subjects have had the event.

    The interval is that of Brookmeyer and Crowley (1982): the times at which the ends of the share's interval reach a
    half. Arguments are the same as for `kaplan_meier`.
    """
    at, share, low, high = kaplan_meier(times, censored)
    if np.isnan(np.asarray(times, float)).all():
        return Median(float("nan"), float("nan"), float("nan"))

    def first(values: Array) -> float:
        below = np.flatnonzero(values <= 0.5)
        return float(at[below[0]]) if len(below) else float("inf")

    return Median(first(share), first(low), first(high))


def slopes(x: ArrayLike, after: ArrayLike, times: ArrayLike, censored: ArrayLike, replica: ArrayLike) -> Slopes:
    """Return the slope of log time on x, as one pseudo-value per replica.

    The slope is the maximum-likelihood estimate of `interval_regression.fit`: log times are normal about lines of one
    common slope, with a random intercept for each replica. An event that was found at an evaluation happened between
    the evaluation before it and that one. Pseudo-values are those of the jackknife over replicas (Tukey 1958): their
    mean is the slope without its bias, and their spread gives its error.

    A value of x at which no time ended is left out, since any slope that is steep enough fits it: it gives a bound
    alone. So does one at which all events had come by the first evaluation. Missing times are left out.

    Args:
        x: (observation).
        after: last evaluation before the event, (observation); 0 or less where none came before. It is not read where
            a time is censored.
        times: evaluation at which the event was found, or the last one of a censored time, (observation).
        censored: whether each time is censored, (observation).
        replica: (observation).
    """
    frame = np.column_stack([np.asarray(part, float) for part in (x, after, times, censored, replica)])
    numbers = np.unique(frame[:, 4])
    frame = frame[np.isfinite(frame[:, [0, 2]]).all(axis=1)]
    for row in frame[(frame[:, 3] == 0) & ~(frame[:, 1] < frame[:, 2])][:1]:
        raise ValueError(f"an event after step {row[1]:g} was found at step {row[2]:g}, which should be later")
    known = (frame[:, 3] == 0) & (frame[:, 1] > 0)
    fitted, every_x = np.unique(frame[known, 0]), np.unique(frame[:, 0])
    rows = frame[np.isin(frame[:, 0], fitted)]
    values, share = np.full(len(numbers), np.nan), float("nan")
    if len(fitted):
        values, share = pseudo_values(*_grid(rows, numbers)), float(rows[:, 3].mean())
    return Slopes(values, tuple(fitted.tolist()), tuple(np.setdiff1d(every_x, fitted).tolist()), share)


def _grid(frame: Array, numbers: Array) -> tuple[Array, Array, Array]:
    """Return x and the ends of the interval of each log time, (replica, observation).

    A replica with fewer observations than others is filled up with intervals without ends, which tell nothing.
    """
    row = np.searchsorted(numbers, frame[:, 4])
    column = np.array([np.sum(row[:i] == of) for i, of in enumerate(row)])
    x, lower, upper = (np.full((len(numbers), column.max() + 1), fill) for fill in (0.0, -np.inf, np.inf))
    is_censored = frame[:, 3] > 0
    x[row, column] = frame[:, 0]
    with np.errstate(divide="ignore"):  # the log of 0 is −∞, the end of an interval that has none
        lower[row, column] = np.log(np.maximum(np.where(is_censored, frame[:, 2], frame[:, 1]), 0.0))
    upper[row, column] = np.where(is_censored, np.inf, np.log(frame[:, 2]))
    return x, lower, upper


def pseudo_values(x: Array, lower: Array, upper: Array) -> Array:
    """Return the jackknife's pseudo-values of the slope, for any number of studies at once.

    Args:
        x: (…, replica, observation).
        lower, upper: ends of the interval of each log time, (…, replica, observation). Infinite where it has none.

    Returns:
        (…, replica). NaN for a replica without a time that is known from both sides, and where a slope is undefined.
    """
    replicas = x.shape[-2]
    # (1 + replica, replica, 1): the whole study, then the study without each replica.
    kept = np.concatenate([np.ones((1, replicas), bool), ~np.eye(replicas, dtype=bool)])[..., None]
    x, lower, upper = (np.asarray(part)[..., None, :, :] for part in (x, lower, upper))
    knows = (np.isfinite(lower) & np.isfinite(upper))[..., 0, :, :].any(axis=-1)
    lower, upper = np.where(kept, lower, -np.inf), np.where(kept, upper, np.inf)
    slope = interval_regression.fit(np.broadcast_to(x, lower.shape), lower, upper)
    n = knows.sum(axis=-1, keepdims=True)
    return np.where(knows & (n > 1), n * slope[..., :1] - (n - 1) * slope[..., 1:], np.nan)
