"""Shape of a distribution: skewness measured in three ways, and inequality; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def moment_skewness(values: ArrayLike) -> Array:
    """Return the third central moment over the cubed standard deviation, over the last axis; NaN without spread."""
    from scipy import stats  # takes more than a second to import, which other measures need not wait for

    array = np.asarray(values, dtype=np.float64)
    return _where_spread(array, 3, lambda rows: stats.skew(rows, axis=-1))


def l_skewness(values: ArrayLike) -> Array:
    """Return the third L-moment over the second (Hosking 1990), −1 to 1, over the last axis; NaN without spread."""
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)
    return _where_spread(array, 3, lambda rows: stats.lmoment(rows, order=3, axis=-1))


def quantile_skewness(values: ArrayLike, q: float = 0.1) -> Array:
    """Return the place of the median between the quantiles q and 1 − q, over the last axis.

    It is 1 where the median equals the lower quantile, −1 where it equals the upper one (Kelly's measure at q = 0.1).
    NaN without spread, or where both quantiles are equal.
    """

    def of(rows: Array) -> Array:
        low, middle, high = np.quantile(rows, [q, 0.5, 1 - q], axis=-1)
        width = high - low
        return np.where(width > 0, (high + low - 2 * middle) / np.where(width > 0, width, 1), np.nan)

    return _where_spread(np.asarray(values, dtype=np.float64), 1, of)


def gini(values: ArrayLike) -> Array:
    """Return the Gini coefficient of non-negative values, over the last axis.

    It is 0 where all n values are equal, and 1 − 1/n where one has everything. NaN where all are 0, or one is negative
    or not finite.
    """
    array = np.sort(np.asarray(values, dtype=np.float64), axis=-1)
    n = array.shape[-1]
    if n == 0:
        return np.full(array.shape[:-1], np.nan)
    total = array.sum(axis=-1)
    means_something = np.isfinite(total) & (total > 0) & (array[..., 0] >= 0)
    # Of sorted values, Σᵢ (2i − n − 1) xᵢ is half the sum of all |xᵢ − xⱼ|, without n² differences.
    with np.errstate(invalid="ignore"):
        ranked = array @ (2.0 * np.arange(1, n + 1) - n - 1)
    return np.where(means_something, ranked / np.where(means_something, n * total, 1), np.nan)


def _where_spread(array: Array, least: int, measure: Callable[[Array], Array]) -> Array:
    """Apply a measure over the last axis; NaN where there are fewer than `least` values or all are equal."""
    result = np.full(array.shape[:-1], np.nan)
    if array.shape[-1] < least:
        return result
    # Values that differ by rounding alone count as equal: a moment over their spread would be noise.
    with np.errstate(invalid="ignore"):
        has_spread = np.isfinite(array).all(axis=-1) & (np.ptp(array, axis=-1) > 1e-12 * np.abs(array).max(axis=-1))
    if has_spread.any():
        result[has_spread] = measure(array[has_spread])
    return result
