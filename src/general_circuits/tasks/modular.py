"""Arithmetic modulo p: formulas in x and y, or several of them, of which x modulo their number chooses one."""

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
    """Formulas in x and y modulo p; with several, example (x, y) has the one numbered x mod their number."""

    formulas: tuple[str, ...]
    modulus: int
    family: Literal["modular"] = "modular"


RECORD = Modular


def generate(task: Modular) -> TaskTable:
    """All p² examples, but for those in which something is divided by 0.

    With several formulas, example (x, y) has the one numbered x mod q, from 0. The band is missing where the example's
    formula divides, or could reach 2⁶² before reduction.
    """
    p, q = task.modulus, len(task.formulas)
    x, y = all_pairs(p).T.astype(np.int64)
    target, wrap = np.zeros_like(x), np.full(len(x), NO_WRAP, dtype=np.int64)
    is_example = np.ones(len(x), dtype=bool)
    for i, text in enumerate(task.formulas):
        here = x % q == i
        found = formula.evaluate(formula.parse(text), x[here], y[here], p)
        target[here], is_example[here] = found.reduced, found.is_defined
        if found.unreduced is not None:
            band = found.unreduced // p
            wrap[here] = np.where(np.abs(band) < -NO_WRAP, band, NO_WRAP)

    def kept(column: NDArray[Any]) -> IntArray:
        return column[is_example].astype(np.int32)

    inputs, pair = np.stack([x, y], axis=1), unordered_pair(x, y, p)
    return TaskTable(kept(inputs), kept(target), kept(pair), kept(wrap), Vocabulary(2, p, p))
