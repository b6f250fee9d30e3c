"""Times until something happens, of which some did not come to an end: pure functions of arrays.

A time that is censored is the one until which nothing had happened.
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
    """A median time with its 95 % interval; infinite where it is not reached."""

    time: float
    low: float
    high: float


def kaplan_meier(times: ArrayLike, censored: ArrayLike) -> tuple[Array, Array, Array, Array]:
    """Share of those to which it has not happened yet (Kaplan and Meier 1958), with its 95 % interval.

    The interval is Greenwood's on the scale of log(−log). Censored times need not be of those that it happened to.

    Returns:
        times at which the share falls, the share from then on, and its interval.
    """
    from scipy import stats

    data = stats.CensoredData.right_censored(np.asarray(times, float), np.asarray(censored, bool))
    survival = stats.ecdf(data).sf
    with warnings.catch_warnings():  # of where the interval is undefined, which is told by its width
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = survival.confidence_interval(method="log-log")
    low, high = (
        np.nan_to_num(bound.probabilities, nan=share) for bound, share in ((bounds.low, 0.0), (bounds.high, 1.0))
    )
    falls = np.diff(survival.probabilities, prepend=1.0) < 0
    return survival.quantiles[falls], survival.probabilities[falls], low[falls], high[falls]


def median_time(times: ArrayLike, censored: ArrayLike) -> Median:
    """The first time by which it has happened to half, with the interval of Brookmeyer and Crowley 1982."""
    at, share, low, high = kaplan_meier(times, censored)

    def first(values: Array) -> float:
        below = np.flatnonzero(values <= 0.5)
        return float(at[below[0]]) if len(below) else float("inf")

    return Median(first(share), first(low), first(high))


def slopes(x: ArrayLike, times: ArrayLike, censored: ArrayLike, replica: ArrayLike) -> Array:
    """How log time goes with x: one pseudo-value per replica of the slope, in the order of their numbers.

    Times are log-normal about a line whose height is each replica's own and whose slope is common; the slope is the
    most likely one (Tobin 1958), and pseudo-values are the jackknife's over replicas (Tukey 1958): their mean is the
    slope less its bias, their spread its error. Without censoring each is the replica's own slope.

    Where all times at one x are censored, nothing bounds the slope; they count there as if they had ended, so that what
    is found is the least steep slope that the data allow. Missing times are left out. A replica that never came to an
    end says nothing of the slope, and is NaN; all are where none did, or where there is one replica or one x.
    """
    frame = np.column_stack([np.asarray(part, float) for part in (x, times, censored, replica)])
    everybody = np.unique(frame[:, 3])
    frame = frame[np.isfinite(frame).all(axis=1)]
    if frame[:, 2].all():
        return np.full(len(everybody), np.nan)
    for level in np.unique(frame[:, 0]):
        here = frame[:, 0] == level
        if frame[here, 2].all():
            frame[here, 2] = 0.0
    numbers = np.unique(frame[frame[:, 2] == 0, 3])
    frame = frame[np.isin(frame[:, 3], numbers)]
    found = np.full(len(everybody), np.nan)
    if len(numbers) > 1 and len(np.unique(frame[:, 0])) > 1:
        whole = _slope(frame)
        without = np.array([_slope(frame[frame[:, 3] != number]) for number in numbers])
        n = len(numbers)
        found[np.isin(everybody, numbers)] = n * whole - (n - 1) * without
    return found


def _slope(frame: Array) -> float:
    """The most likely slope. Concave in the line and the width, both over the width (Olsen 1978)."""
    x, y, censored = frame[:, 0], np.log(frame[:, 1]), frame[:, 2] > 0
    numbers = np.unique(frame[:, 3])
    design = np.column_stack([x, *(frame[:, 3] == number for number in numbers)]).astype(float)
    start, *_ = np.linalg.lstsq(design, y, rcond=None)
    if not censored.any():
        return float(start[0])
    width = max(float((y - design @ start).std()), 1e-3)

    def cost(parameters: Array) -> tuple[float, Array]:
        line, inverse = parameters[:-1], np.exp(parameters[-1])
        off = inverse * y - design @ line  # standard deviations above the line
        tail = log_ndtr(-off[censored])
        hazard = np.exp(-0.5 * off[censored] ** 2 - 0.5 * np.log(2 * np.pi) - tail)
        push = np.where(censored, 0.0, off)
        push[censored] = hazard
        known = ~censored
        value = -known.sum() * parameters[-1] + 0.5 * (off[known] ** 2).sum() - tail.sum()
        gradient = np.append(-design.T @ push, -known.sum() + (push * inverse * y).sum())
        return float(value), gradient

    found = minimize(cost, np.append(start / width, -np.log(width)), jac=True, method="BFGS", options={"gtol": 1e-8})
    return float(found.x[0] / np.exp(found.x[-1]))
