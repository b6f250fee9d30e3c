"""Survival analysis: times until an event, some of them censored; pure functions of arrays.

A censored time is the time until which the event had not happened.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Median:
    """Median time with its 95 % interval; infinite where the share never falls to a half."""

    time: float
    low: float
    high: float


def kaplan_meier(times: ArrayLike, censored: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Return the share of subjects without the event by time (Kaplan and Meier 1958), with its 95 % interval.

    The interval is Greenwood's, on the scale of log(−log).

    Args:
        times: (subject).
        censored: whether each time is censored, (subject).

    Returns:
        Times at which the share falls, the share from then on, and the ends of its interval, each (time).
    """
    from scipy import stats

    data = stats.CensoredData.right_censored(np.asarray(times, float), np.asarray(censored, bool))
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

    def first(values: Array) -> float:
        below = np.flatnonzero(values <= 0.5)
        return float(at[below[0]]) if len(below) else float("inf")

    return Median(first(share), first(low), first(high))


def slopes(x: ArrayLike, times: ArrayLike, censored: ArrayLike, replica: ArrayLike) -> Array:
    """Return the slope of log time on x, as one pseudo-value per replica, by replica number.

    Model: log times are normal about lines of one common slope, with an intercept for each replica. The slope is the
    maximum-likelihood estimate (Tobin 1958). Pseudo-values are those of the jackknife over replicas (Tukey 1958):
    their mean is the slope without its bias, and their spread gives its error.

    Where all times at one x are censored, no slope is too steep for them. They count as if they had ended, so the
    estimate is the least steep slope that the data allow. Missing times are left out.

    Args:
        x, times, censored, replica: (observation).

    Returns:
        (replica). NaN for a replica whose times are all censored, since they tell nothing about the slope. All NaN if
        no time ended, or if there is only one replica or one x.
    """
    frame = np.column_stack([np.asarray(part, float) for part in (x, times, censored, replica)])
    every_replica = np.unique(frame[:, 3])
    frame = frame[np.isfinite(frame).all(axis=1)]
    if frame[:, 2].all():
        return np.full(len(every_replica), np.nan)
    for level in np.unique(frame[:, 0]):
        here = frame[:, 0] == level
        if frame[here, 2].all():
            frame[here, 2] = 0.0
    numbers = np.unique(frame[frame[:, 2] == 0, 3])
    frame = frame[np.isin(frame[:, 3], numbers)]
    pseudo_values = np.full(len(every_replica), np.nan)
    if len(numbers) > 1 and len(np.unique(frame[:, 0])) > 1:
        of_all = _slope(frame)
        without = np.array([_slope(frame[frame[:, 3] != number]) for number in numbers])
        n = len(numbers)
        pseudo_values[np.isin(every_replica, numbers)] = n * of_all - (n - 1) * without
    return pseudo_values


def _slope(frame: Array) -> float:
    """Return the maximum-likelihood slope of columns x, time, censored and replica.

    The likelihood is maximised in line / σ and log(1 / σ). In line / σ and 1 / σ it is concave (Olsen 1978), so it has
    one maximum.
    """
    x, y, censored = frame[:, 0], np.log(frame[:, 1]), frame[:, 2] > 0
    numbers = np.unique(frame[:, 3])
    # (observation, parameter): the slope, then an intercept for each replica.
    design = np.column_stack([x, *(frame[:, 3] == number for number in numbers)]).astype(float)
    start, *_ = np.linalg.lstsq(design, y, rcond=None)
    if not censored.any():  # then least squares is the maximum
        return float(start[0])
    width = max(float((y - design @ start).std()), 1e-3)

    def cost(parameters: Array) -> tuple[float, Array]:
        line, inverse = parameters[:-1], np.exp(parameters[-1])
        off = inverse * y - design @ line  # standard deviations above the line
        # A censored time contributes the log of the normal tail above it; the derivative of that is −hazard.
        tail = log_ndtr(-off[censored])
        hazard = np.exp(-0.5 * off[censored] ** 2 - 0.5 * np.log(2 * np.pi) - tail)
        push = np.where(censored, 0.0, off)  # derivative of the cost by `off`
        push[censored] = hazard
        known = ~censored
        value = -known.sum() * parameters[-1] + 0.5 * (off[known] ** 2).sum() - tail.sum()
        gradient = np.append(-design.T @ push, -known.sum() + (push * inverse * y).sum())
        return float(value), gradient

    best = minimize(cost, np.append(start / width, -np.log(width)), jac=True, method="BFGS", options={"gtol": 1e-8})
    return float(best.x[0] / np.exp(best.x[-1]))  # slope / σ, times σ
