"""Estimates over replicas: means with intervals, and p-values adjusted for how many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

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
    half = float(stdtrit(n - 1, 0.975)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(mean - null) / error))
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
