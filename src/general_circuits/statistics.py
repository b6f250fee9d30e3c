"""Statistics: pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over replicas with its 95 % interval (Student's t) and two-sided p against `null`; NaN where too few."""

    mean: float
    low: float
    high: float
    p_value: float
    n: int


def estimate(values: ArrayLike, null: float = 0.0) -> Estimate:
    """Mean, interval and p-value over replicas; values that are not finite are left out. Fewer than 2: NaN."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    n = len(array)
    if n < 2:
        nan = float("nan")
        return Estimate(float(array.mean()) if n else nan, nan, nan, nan, n)
    mean, error = float(array.mean()), float(array.std(ddof=1) / np.sqrt(n))
    if error == 0:
        return Estimate(mean, mean, mean, float(mean == null), n)
    half = float(stats.t.ppf(0.975, n - 1)) * error
    p_value = 2 * float(stats.t.sf(abs(mean - null) / error, n - 1))
    return Estimate(mean, mean - half, mean + half, p_value, n)


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjustment for testing all of these at once (Holm 1979); NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return adjusted


def moment_skewness(values: ArrayLike) -> float:
    """Third central moment over the cubed standard deviation; NaN without spread."""
    array = np.asarray(values, dtype=np.float64)
    return float(stats.skew(array)) if _has_spread(array, 3) else float("nan")


def l_skewness(values: ArrayLike) -> float:
    """Third L-moment over the second, from −1 to 1 (Hosking 1990); NaN without spread."""
    array = np.asarray(values, dtype=np.float64)
    return float(stats.lmoment(array, order=3)) if _has_spread(array, 3) else float("nan")


def quantile_skewness(values: ArrayLike, q: float = 0.1) -> float:
    """Place of the median between the q and 1 − q quantiles, from −1 to 1 (Kelly, for q = 0.1); NaN without spread."""
    array = np.asarray(values, dtype=np.float64)
    if not _has_spread(array, 1):
        return float("nan")
    low, middle, high = np.quantile(array, [q, 0.5, 1 - q])
    return float((high + low - 2 * middle) / (high - low)) if high > low else float("nan")


def gini(values: ArrayLike) -> float:
    """Gini coefficient of non-negative values: 0 if all are equal, 1 − 1/n if one has everything; NaN if all are 0."""
    array = np.sort(np.asarray(values, dtype=np.float64))
    n = len(array)
    if n == 0 or not np.isfinite(array).all() or array.sum() <= 0 or array[0] < 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ array / (n * array.sum()))


def _has_spread(array: Array, least: int) -> bool:
    return bool(len(array) >= least and np.isfinite(array).all() and np.ptp(array) > 1e-12 * np.abs(array).max())
