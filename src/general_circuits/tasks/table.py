"""What every family of operations produces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]

NO_WRAP = -(2**31)
"""Stands in `wrap` where an operation has no value before reduction."""


@dataclass(frozen=True)
class TaskTable:
    """Every example of a task, sorted by (a, b); each array is (example).

    Attributes:
        a, b: the operands, symbols from 0 to n_symbols − 1.
        target: the right class, from 0 to n_classes − 1.
        pair: one number per unordered pair {a, b}, so that (a, b) and (b, a) share it.
        wrap: the band m for which the unreduced value lies in [m·p, (m + 1)·p); `NO_WRAP` where there is none.
    """

    a: IntArray
    b: IntArray
    target: IntArray
    pair: IntArray
    wrap: IntArray
    n_symbols: int
    n_classes: int


def unordered_pair(a: IntArray, b: IntArray, n_symbols: int) -> IntArray:
    """The number of {a, b}: equal for (a, b) and (b, a), different for different pairs."""
    return (np.minimum(a, b) * n_symbols + np.maximum(a, b)).astype(np.int32)
