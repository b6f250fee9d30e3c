"""What every family of operations produces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.tasks.vocabulary import Vocabulary

IntArray = NDArray[np.int32]

NO_WRAP = -(2**31)
"""Stands in `wrap` where an operation has no value before reduction."""


@dataclass(frozen=True)
class TaskTable:
    """Every example of a task.

    Attributes:
        inputs: (example, n_inputs), symbols from 0 to n_symbols − 1; the two operands, for most tasks.
        target: (example), the right class, from 0 to n_classes − 1.
        pair: (example), one number per unordered pair of operands, so that (a, b) and (b, a) share it; where there are
            not two operands, one per example.
        wrap: (example), the band m for which the unreduced value lies in [m·p, (m + 1)·p); `NO_WRAP` where there is
            none.
        vocabulary: how many inputs, symbols and classes.
    """

    inputs: IntArray
    target: IntArray
    pair: IntArray
    wrap: IntArray
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.target)

    @property
    def is_commutative(self) -> bool | None:
        """Whether a ∘ b = b ∘ a wherever both are examples; None where there are not two operands."""
        if self.vocabulary.n_inputs != 2:
            return None
        order = np.argsort(self.pair, kind="stable")
        pair, target = self.pair[order], self.target[order]
        return bool((target[1:] == target[:-1])[pair[1:] == pair[:-1]].all())

    def frame(self) -> pd.DataFrame:
        """One row per example: `a` and `b` where there are two operands, else `inputs`; the others missing."""
        inputs: dict[str, object]
        if self.vocabulary.n_inputs == 2:
            inputs = {"a": self.inputs[:, 0], "b": self.inputs[:, 1], "inputs": None}
        else:
            none = pd.array([None] * len(self), dtype="Int32")
            inputs = {"a": none, "b": none, "inputs": list(self.inputs)}
        wrap = pd.Series(self.wrap, dtype="Int32").mask(self.wrap == NO_WRAP)
        return pd.DataFrame(
            {"example": range(len(self)), **inputs, "target": self.target, "pair": self.pair, "wrap": wrap}
        )


def all_pairs(n_symbols: int) -> IntArray:
    """Every (a, b) in order, (example, 2)."""
    return np.stack(np.divmod(np.arange(n_symbols**2, dtype=np.int32), n_symbols), axis=1).astype(np.int32)


def unrelated(inputs: NDArray[Any], target: NDArray[Any], vocabulary: Vocabulary) -> TaskTable:
    """Examples without mirror images or bands, but where the inputs are two: then they are operands like any other."""
    n = len(target)
    pair = np.arange(n, dtype=np.int32)
    if vocabulary.n_inputs == 2:
        pair = unordered_pair(inputs[:, 0], inputs[:, 1], vocabulary.n_symbols)
    wrap = np.full(n, NO_WRAP, dtype=np.int32)
    return TaskTable(inputs.astype(np.int32), target.astype(np.int32), pair, wrap, vocabulary)


def unordered_pair(a: NDArray[Any], b: NDArray[Any], n_symbols: int) -> IntArray:
    """The number of {a, b}: equal for (a, b) and (b, a), different for different pairs."""
    return (np.minimum(a, b) * n_symbols + np.maximum(a, b)).astype(np.int32)
