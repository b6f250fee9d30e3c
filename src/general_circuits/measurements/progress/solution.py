"""The group that a task's answers are in, and how operands lead there: what a general solution can be built from."""

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
"""In place of an element, where a class or symbol is none: 0 in multiplication modulo p."""


@dataclass(frozen=True)
class Solution:
    """A group of answers.

    Attributes:
        element: (class), each answer's element, or `NONE`.
        parts: of the functions on the group.
        operands: u and v, (symbol) → element or `NONE`, for which every answer is u(a)·v(b), each with every element
            once; None where there are none.
    """

    element: Integers
    parts: list[Part]
    operands: tuple[Integers, Integers] | None


def find(task: Task, inputs: Integers, target: Integers) -> Solution | None:
    """The group that a task's answers combine in: None where none is known.

    Args:
        task: of a group, that one. Of arithmetic modulo p, addition or (for prime p, without 0) multiplication, if the
            answer is u(a)·v(b) in it for some u and v: x² + y² is, x² + xy + y² is not. Every element is the answer of
            some example: x²·y² has only squares, and so none.
        inputs: (example, operand), all of the task's examples.
        target: (example), their right answers.
    """
    for element, times in _candidates(task):
        operands = _factors(inputs, element[target], times) if inputs.shape[1] == 2 else None
        occurring = np.unique(element[target])
        if (operands is None and isinstance(task, Modular)) or (occurring != NONE).sum() < len(times):
            continue
        is_one_to_one = operands is not None and all(_has_each_once(of, len(times)) for of in operands)
        return Solution(element, parts(times), operands if is_one_to_one else None)
    return None


def _candidates(task: Task) -> Iterator[tuple[Integers, Multiplication]]:
    """Elements of the classes, and the multiplication table."""
    if isinstance(task, GroupTask):
        group = task.group if isinstance(task.group, str) else [list(row) for row in task.group]
        times = multiplication(group)
        yield np.arange(len(times)), times
    elif isinstance(task, Modular):
        p = task.modulus
        yield np.arange(p), cyclic(p)
        units = np.arange(1, p)
        if p > 2 and all(p % d for d in range(2, int(p**0.5) + 1)):
            yield np.arange(p) - 1, np.outer(units, units) % p - 1


def _factors(inputs: Integers, found: Integers, times: Multiplication) -> tuple[Integers, Integers] | None:
    """u and v with u(a)·v(b) = the answer's element in all examples that have one, v of the first b being neutral."""
    known = found != NONE
    a, b, answer = inputs[known, 0], inputs[known, 1], found[known]
    n = int(inputs.max()) + 1
    grid = np.full((n, n), NONE)
    grid[a, b] = answer
    row, column = np.argmax((grid != NONE).sum(axis=1)), np.argmax((grid != NONE).sum(axis=0))
    if grid[row, column] == NONE:
        return None
    u = grid[:, column]  # where v is neutral
    v = np.where(grid[row] == NONE, NONE, times[inverses(times)[u[row]], grid[row]])
    has_both = (u[a] != NONE) & (v[b] != NONE)
    fits = has_both.all() and bool((times[u[a], v[b]] == answer).all())
    return (u, v) if fits else None


def _has_each_once(symbols: Integers, n: int) -> bool:
    """Whether symbols stand for each of n elements once, or for none."""
    known = symbols[symbols != NONE]
    return len(known) == n and len(np.unique(known)) == n
