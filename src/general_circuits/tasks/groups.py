"""Composition in finite groups; everything follows from the group's multiplication table."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from general_circuits.tasks.settings import Task
from general_circuits.tasks.table import NO_WRAP, IntArray, TaskTable, all_pairs, unordered_pair
from general_circuits.tasks.vocabulary import Vocabulary

Multiplication = NDArray[np.int64]
"""Multiplication table: [x, y] = x·y, each an element's number."""

LARGEST, LARGEST_TABLE = 1024, 128
"""Most elements of a group by name, and of a group that is given as a table."""


@dataclass(frozen=True)
class GroupTask(Task):
    """Composition in a group, which is given by its name or by its multiplication table."""

    operation: str
    group: str | tuple[tuple[int, ...], ...]
    family: Literal["groups"] = "groups"


RECORD = GroupTask


class GroupError(ValueError):
    """Name or table of no group; the message says why."""


def generate(task: GroupTask) -> TaskTable:
    """Return all n² examples of an operation in a group of n elements, numbered as in its multiplication table."""
    times = multiplication(task.group)
    n = len(times)
    x, y = all_pairs(n).T
    product = times[x, y]
    if task.operation == "x*y*x^-1":
        product = times[product, inverses(times)[x]]
    elif task.operation == "x*y*x":
        product = times[product, x]
    wrap = np.full(n * n, NO_WRAP, dtype=np.int32)
    pair = unordered_pair(x, y, n)
    return TaskTable(np.stack([x, y], axis=1), product.astype(np.int32), pair, wrap, Vocabulary(2, n, n))


def multiplication(group: str | Sequence[Sequence[int]]) -> Multiplication:
    """Return a group's multiplication table.

    The group `S5` has the permutations of 5 things, in lexicographic order. There x·y applies x first, then y, as in
    the code of "Grokking" (Power et al. 2022). The group `D5` has the symmetries of a 5-gon: first the rotations
    r⁰ … r⁴, then r⁰s … r⁴s with a reflection s. The group `C12` has the numbers modulo 12 under addition.

    Args:
        group: a name like these, or a table, which is checked.

    Raises:
        GroupError: there is no such group, or it is too large.
    """
    if not isinstance(group, str):
        return checked(group)
    spelled = re.fullmatch(r"([SDC])([1-9]\d{0,3})", group)
    if not spelled:
        raise GroupError("should be S, D or C and a number (S5, D7, C12), or a multiplication table")
    kind, n = spelled[1], int(spelled[2])
    order = {"S": math.factorial(min(n, 10)), "D": 2 * n, "C": n}[kind]
    if not 2 <= order <= LARGEST:
        raise GroupError(f"should have 2 to {LARGEST:,} elements")
    return {"S": symmetric, "D": dihedral, "C": cyclic}[kind](n)


def symmetric(n: int) -> Multiplication:
    """Return the table of S_n, of order n!: permutations in lexicographic order, (x·y)(i) = y(x(i))."""
    permutations = np.array(list(itertools.permutations(range(n))))  # (element, i)
    # Base-n numbers name the permutations: sorted, they tell where each composed permutation is in the list.
    digits = n ** np.arange(n)
    spelled = permutations @ digits
    order = np.argsort(spelled)
    composed = permutations[:, permutations].transpose(1, 0, 2)  # [x, y, i] = y(x(i))
    return order[np.searchsorted(spelled[order], composed @ digits)]


def dihedral(n: int) -> Multiplication:
    """Return the table of D_n, of order 2n: element k is the rotation r^k, element n + k is r^k·s, with s·r = r⁻¹·s."""
    turn, flip = np.arange(2 * n) % n, np.arange(2 * n) // n
    # r^j·s·r^k = r^(j−k)·s: after a reflection, turns count backwards.
    turned = turn[:, None] + np.where(flip[:, None] == 1, -turn, turn)
    return turned % n + n * (flip[:, None] ^ flip)


def cyclic(n: int) -> Multiplication:
    """Return the table of C_n, addition modulo n."""
    return (np.arange(n)[:, None] + np.arange(n)) % n


def checked(rows: Sequence[Sequence[int]]) -> Multiplication:
    """Return the table as an array if it is a group's.

    Raises:
        GroupError: the table is no group's; the message names the axiom that fails, and where.
    """
    n = len(rows)
    if not 2 <= n <= LARGEST_TABLE:
        raise GroupError(f"has {n} rows; a table of 2 to {LARGEST_TABLE} can be given")
    for i, row in enumerate(rows):
        if len(row) != n:
            raise GroupError(f"row {i} has {len(row)} entries; the table should be {n} × {n}")
        for j, entry in enumerate(row):
            if not 0 <= entry < n:
                raise GroupError(f"row {i}, column {j} is {entry}; elements are numbered from 0 to {n - 1}")
    times = np.array(rows, dtype=np.int64)
    elements = np.arange(n)
    neutral = np.flatnonzero((times == elements).all(axis=1) & (elements == times.T).all(axis=1))
    if not len(neutral):
        raise GroupError("has no neutral element: one whose row and column leave everything as it is")
    lacking = np.flatnonzero(~((times == neutral[0]) & (neutral[0] == times.T)).any(axis=1))
    if len(lacking):
        raise GroupError(f"element {lacking[0]} has no inverse")
    left, right = times[times], times[:, times]  # (x·y)·z and x·(y·z), each [x, y, z]
    if (left != right).any():
        x, y, z = np.argwhere(left != right)[0]
        raise GroupError(f"is not associative: ({x}·{y})·{z} = {left[x, y, z]}, {x}·({y}·{z}) = {right[x, y, z]}")
    return times


def inverses(times: Multiplication) -> IntArray:
    """Return every element's inverse, (element)."""
    return np.argmax(times == neutral(times), axis=1).astype(np.int32)


def neutral(times: Multiplication) -> int:
    """Return the number of the neutral element, which leaves every other as it is."""
    return int(np.flatnonzero((times == np.arange(len(times))).all(axis=1))[0])
