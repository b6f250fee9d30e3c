"""Task tables: the examples that every family of operations generates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.tasks.vocabulary import Vocabulary

IntArray = NDArray[np.int32]

NO_WRAP = -(2**31)
"""Number in `wrap` for an example without a value before reduction."""


@dataclass(frozen=True)
class TaskTable:
    """Every example of a task.

    Attributes:
        inputs: (example, n_inputs), symbols from 0 to n_symbols − 1; most tasks have two, the operands.
        target: (example), the right class, from 0 to n_classes − 1.
        pair: (example), one number per unordered pair of operands: (a, b) and (b, a) share it. Without two operands,
            one number per example.
        wrap: (example), the band m whose interval [m·p, (m + 1)·p) has the unreduced value; `NO_WRAP` if there is
            none.
        vocabulary: the numbers of inputs, symbols and classes.
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
        """Return whether a ∘ b = b ∘ a wherever both are examples; None if there are not two operands."""
        if self.vocabulary.n_inputs != 2:
            return None
        # Sorted by pair, mirror images are neighbours: compare targets of neighbours that share a pair.
        order = np.argsort(self.pair, kind="stable")
        pair, target = self.pair[order], self.target[order]
        return bool((target[1:] == target[:-1])[pair[1:] == pair[:-1]].all())

    def frame(self) -> pd.DataFrame:
        """Return one row per example: two operands in `a` and `b`, other inputs in `inputs`, the rest missing."""
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
    """Return every (a, b) in order, (example, 2)."""
    return np.stack(np.divmod(np.arange(n_symbols**2, dtype=np.int32), n_symbols), axis=1).astype(np.int32)


def unrelated(inputs: NDArray[Any], target: NDArray[Any], vocabulary: Vocabulary) -> TaskTable:
    """Return the table of examples without bands. Only if there are two inputs do they count as operands of a pair.

    Args:
        inputs: (example, n_inputs).
        target: (example).
        vocabulary: the numbers of inputs, symbols and classes.
    """
    n = len(target)
    pair = np.arange(n, dtype=np.int32)
    if vocabulary.n_inputs == 2:
        pair = unordered_pair(inputs[:, 0], inputs[:, 1], vocabulary.n_symbols)
    wrap = np.full(n, NO_WRAP, dtype=np.int32)
    return TaskTable(inputs.astype(np.int32), target.astype(np.int32), pair, wrap, vocabulary)


def unordered_pair(a: NDArray[Any], b: NDArray[Any], n_symbols: int) -> IntArray:
    """Return a number for {a, b}, (example): equal for (a, b) and (b, a), different for different pairs."""
    return (np.minimum(a, b) * n_symbols + np.maximum(a, b)).astype(np.int32)
