"""Arithmetic modulo p: x + y, x − y, x · y and x ÷ y, as in "Grokking" (Power et al. 2022), appendix A.1.1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from general_circuits.conditions import Task, Vocabulary
from general_circuits.tasks.table import NO_WRAP, IntArray, TaskTable, unordered_pair

UNREDUCED: dict[str, Callable[[IntArray, IntArray], IntArray]] = {
    "x+y": lambda a, b: a + b,
    "x-y": lambda a, b: a - b,
    "x*y": lambda a, b: a * b,
}


def generate(task: Task) -> TaskTable:
    """The table of one operation: all p² examples, or the p·(p − 1) with y ≠ 0 for x ÷ y (p prime)."""
    p = task.modulus
    a, b = (axis.ravel().astype(np.int32) for axis in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    if task.operation == "x/y":
        a, b = a[b != 0], b[b != 0]
        inverse = np.array([0] + [pow(y, -1, p) for y in range(1, p)], dtype=np.int32)
        target, wrap = a * inverse[b] % p, np.full_like(a, NO_WRAP)
    else:
        value = UNREDUCED[task.operation](a, b)
        target, wrap = value % p, value // p
    return TaskTable(np.stack([a, b], axis=1), target, unordered_pair(a, b, p), wrap, Vocabulary(2, p, p))
