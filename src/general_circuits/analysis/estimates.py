"""Estimates over replicas: means with intervals, and p-values adjusted for their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Mean over n replicas, with its 95 % interval (Student's t) and a two-sided p-value.

    The interval and p are NaN below two replicas, the mean is NaN below one.
    """

    mean: float
    low: float
    high: float
    p_value: float
    n: int


def estimate(values: ArrayLike, null: float = 0.0) -> Estimate:
    """Estimate the mean over replicas, with p against `null`; values that are not finite are left out."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    n = len(array)
    if n < 2:
        nan = float("nan")
        return Estimate(float(array.mean()) if n else nan, nan, nan, nan, n)
    mean, error = float(array.mean()), float(array.std(ddof=1) / np.sqrt(n))
    if error == 0:  # equal replicas: t would be 0/0 or infinite
        return Estimate(mean, mean, mean, float(mean == null), n)
    half = float(stdtrit(n - 1, 0.975)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(mean - null) / error))
    return Estimate(mean, mean - half, mean + half, p_value, n)


def benjamini_hochberg(p_values: ArrayLike) -> Array:
    """Return p-values adjusted for the false discovery rate among them (Benjamini and Hochberg 1995).

    NaN stays NaN and does not count.
    """
    from scipy import stats  # takes half a second to import

    p = np.asarray(p_values, dtype=np.float64)
    adjusted, known = np.full_like(p, np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
