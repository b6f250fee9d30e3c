"""The group that a task's answers are in, and the operands' places in it: what a general solution can be built from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from general_circuits.measurements.progress.harmonics import Part, parts
from general_circuits.tasks.groups import GroupTask, Multiplication, cyclic, inverses, multiplication
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task

Integers = NDArray[np.int64]

NONE = -1
"""Number for a class or symbol that is no element, as 0 is none in multiplication modulo p."""


@dataclass(frozen=True)
class Solution:
    """Group that a task's answers are in.

    Attributes:
        element: (class), the element that each class is, or `NONE`.
        parts: the parts of functions on the group, by frequency.
        operands: u and v, each (symbol) → element or `NONE`, such that every answer is u(a)·v(b). None unless both have
            every element exactly once.
    """

    element: Integers
    parts: list[Part]
    operands: tuple[Integers, Integers] | None


def find(task: Task, inputs: Integers, target: Integers) -> Solution | None:
    """Return the group that a task's answers are in, or None if none is known.

    A task in a group has that group. In arithmetic modulo p, two groups are tried: addition and, for prime p and
    without 0, multiplication. The answer must be u(a)·v(b) in the group, for some u and v. So x² + y² has a group, and
    x² + xy + y² has none. Every element must be the answer of some example: x²·y² has only squares, so it has no group.

    Args:
        task: the task.
        inputs: (example, operand), all of the task's examples.
        target: (example), their right answers.
    """
    for element, times in _candidates(task):
        operands = _factors(inputs, element[target], times) if inputs.shape[1] == 2 else None
        occurring = np.unique(element[target])
        if (operands is None and isinstance(task, Modular)) or (occurring != NONE).sum() < len(times):
            continue
        # Tasks in a group need no operands: conjugation x·y·x⁻¹ has answers in the group that are no u(x)·v(y).
        is_one_to_one = operands is not None and all(_has_each_once(operand, len(times)) for operand in operands)
        return Solution(element, parts(times), operands if is_one_to_one else None)
    return None


def _candidates(task: Task) -> Iterator[tuple[Integers, Multiplication]]:
    """Yield groups to try: the element that each class is, (class), and the multiplication table."""
    if isinstance(task, GroupTask):
        group = task.group if isinstance(task.group, str) else [list(row) for row in task.group]
        times = multiplication(group)
        yield np.arange(len(times)), times
    elif isinstance(task, Modular):
        p = task.modulus
        yield np.arange(p), cyclic(p)
        units = np.arange(1, p)
        if p > 2 and all(p % d for d in range(2, int(p**0.5) + 1)):
            # Element i is the class i + 1; class 0 becomes −1, which is `NONE`.
            yield np.arange(p) - 1, np.outer(units, units) % p - 1


def _factors(inputs: Integers, answers: Integers, times: Multiplication) -> tuple[Integers, Integers] | None:
    """Return u and v with u(a)·v(b) = the answer in all examples whose answer is an element, or None.

    If u and v do, so do u·c⁻¹ and c·v for any element c. So one v(b) may be taken as neutral. Then one row and one
    column of answers give all of u and v, which are checked against all examples.

    Args:
        inputs: (example, operand).
        answers: (example), the element that each answer is, or `NONE`.
        times: the multiplication table.
    """
    known = answers != NONE
    a, b, answer = inputs[known, 0], inputs[known, 1], answers[known]
    n = int(inputs.max()) + 1
    grid = np.full((n, n), NONE)  # [a, b] = answer
    grid[a, b] = answer
    # The row and the column with most answers leave the fewest u and v unknown.
    row, column = np.argmax((grid != NONE).sum(axis=1)), np.argmax((grid != NONE).sum(axis=0))
    if grid[row, column] == NONE:
        return None
    u = grid[:, column]  # since v of this column is neutral
    # u(row)·v(b) = grid[row, b], so v(b) = u(row)⁻¹·grid[row, b].
    v = np.where(grid[row] == NONE, NONE, times[inverses(times)[u[row]], grid[row]])
    has_both = (u[a] != NONE) & (v[b] != NONE)
    fits = has_both.all() and bool((times[u[a], v[b]] == answer).all())
    return (u, v) if fits else None


def _has_each_once(symbols: Integers, n: int) -> bool:
    """Return whether each of n elements has exactly one symbol; symbols of no element do not matter."""
    known = symbols[symbols != NONE]
    return len(known) == n and len(np.unique(known)) == n
