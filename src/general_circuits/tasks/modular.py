"""Arithmetic modulo p: one formula in x and y, or several, of which x modulo their number chooses one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from general_circuits.tasks import formula
from general_circuits.tasks.settings import Task
from general_circuits.tasks.table import NO_WRAP, IntArray, TaskTable, all_pairs, unordered_pair
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Modular(Task):
    """One or more formulas in x and y modulo p; of q formulas, example (x, y) has number x mod q, from 0."""

    formulas: tuple[str, ...]
    modulus: int
    family: Literal["modular"] = "modular"


RECORD = Modular


def generate(task: Modular) -> TaskTable:
    """Return all p² examples, but for those that divide by 0.

    Of q formulas, example (x, y) has number x mod q, from 0. Its band, `wrap`, is missing if the formula divides, or
    could exceed 2⁶² before reduction.
    """
    p, q = task.modulus, len(task.formulas)
    x, y = all_pairs(p).T.astype(np.int64)
    target, wrap = np.zeros_like(x), np.full(len(x), NO_WRAP, dtype=np.int64)
    is_example = np.ones(len(x), dtype=bool)
    for i, text in enumerate(task.formulas):
        here = x % q == i
        values = formula.evaluate(formula.parse(text), x[here], y[here], p)
        target[here], is_example[here] = values.reduced, values.is_defined
        if values.unreduced is not None:
            band = values.unreduced // p  # rounds down, so that bands of negative values are negative
            # A band that does not fit 32 bits, or would read as `NO_WRAP`, is missing too.
            wrap[here] = np.where(np.abs(band) < -NO_WRAP, band, NO_WRAP)

    # Examples that divide by 0 are dropped from every column.
    def kept(column: NDArray[Any]) -> IntArray:
        return column[is_example].astype(np.int32)

    inputs, pair = np.stack([x, y], axis=1), unordered_pair(x, y, p)
    return TaskTable(kept(inputs), kept(target), kept(pair), kept(wrap), Vocabulary(2, p, p))
