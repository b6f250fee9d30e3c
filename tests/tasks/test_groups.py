"""Groups: their laws, and their tables against permutations in Python and symmetries as matrices."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.tasks import groups, registry
from general_circuits.tasks.groups import GroupError, GroupTask
from general_circuits.tasks.vocabulary import Vocabulary

NAMES = st.one_of(
    st.integers(2, 5).map(lambda n: f"S{n}"),
    st.integers(1, 12).map(lambda n: f"D{n}"),
    st.integers(2, 24).map(lambda n: f"C{n}"),
)
KLEIN = [[a ^ b for b in range(4)] for a in range(4)]
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
"""Table with a neutral element, in which each element is its own inverse: a loop that is no group."""


@given(NAMES)
def test_every_named_group_has_the_laws_of_a_group(name: str) -> None:
    times = groups.multiplication(name)
    n, elements = len(times), np.arange(len(times))
    assert (np.sort(times, axis=0) == elements[:, None]).all()  # each row and column has every element once
    assert (np.sort(times, axis=1) == elements).all()
    assert (times[0] == elements).all()
    assert (times[:, 0] == elements).all()
    inverse = groups.inverses(times)
    assert (times[elements, inverse] == 0).all()
    assert (times[inverse, elements] == 0).all()
    x, y, z = np.random.default_rng(n).integers(n, size=(3, 500))
    assert (times[times[x, y], z] == times[x, times[y, z]]).all()


@given(NAMES)
def test_a_named_groups_table_passes_as_a_given_one(name: str) -> None:
    times = groups.multiplication(name)
    if len(times) <= groups.LARGEST_TABLE:
        assert (groups.multiplication(times.tolist()) == times).all()


@given(NAMES, st.sampled_from(list(registry.IN_GROUPS)))
def test_operations_follow_from_the_multiplication(name: str, operation: str) -> None:
    table, times = groups.generate(GroupTask(operation, name)), groups.multiplication(name)
    n = len(times)
    assert len(table) == n * n
    assert table.vocabulary == Vocabulary(2, n, n)
    x, y = table.inputs.T
    if operation == "x*y":
        assert (table.target == times[x, y]).all()
    elif operation == "x*y*x^-1":  # (x·y·x⁻¹)·x = x·y
        assert (times[table.target, x] == times[x, y]).all()
    else:
        assert (table.target == times[x, times[y, x]]).all()


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_permutations_compose_as_functions_the_first_one_first(n: int) -> None:
    permutations = list(itertools.permutations(range(n)))
    times = groups.multiplication(f"S{n}")
    assert len(times) == math.factorial(n)
    for x, y in itertools.product(range(len(times)), repeat=2) if n < 5 else [(7, 100), (119, 1), (50, 51)]:
        first, then = permutations[x], permutations[y]
        assert permutations[times[x, y]] == tuple(then[first[i]] for i in range(n))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_symmetries_of_a_polygon_compose_as_matrices(n: int) -> None:
    angle = 2 * np.pi / n
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([1.0, -1.0])
    matrices = [np.linalg.matrix_power(turn, k) @ np.linalg.matrix_power(flip, e) for e in (0, 1) for k in range(n)]
    times = groups.multiplication(f"D{n}")
    for x, y in itertools.product(range(2 * n), repeat=2):
        np.testing.assert_allclose(matrices[times[x, y]], matrices[x] @ matrices[y], atol=1e-12)


def test_a_cyclic_group_is_addition() -> None:
    assert (groups.multiplication("C12") == np.add.outer(np.arange(12), np.arange(12)) % 12).all()


@pytest.mark.parametrize(
    ("name", "commutes"), [("S2", True), ("S3", False), ("D2", True), ("D3", False), ("C12", True), (KLEIN, True)]
)
def test_a_group_commutes_or_not_as_theory_says(name: object, commutes: bool) -> None:
    assert groups.generate(GroupTask("x*y", name)).is_commutative == commutes  # type: ignore[arg-type]


def test_fixed_points_of_conjugation_in_s5_are_as_many_as_theory_says() -> None:
    """Conjugation by x in S5 has as many fixed points as x's centraliser has elements. They sum to 7 classes · 120."""
    table = groups.generate(GroupTask("x*y*x^-1", "S5"))
    assert len(table) == 120**2
    assert int((table.target == table.inputs[:, 1]).sum()) == 7 * 120


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([[0]], "1 rows"),
        ([[0, 1], [1]], "row 1 has 1 entries"),
        ([[0, 1], [1, 2]], "row 1, column 1 is 2"),
        ([[0, 1], [1, -1]], "row 1, column 1 is -1"),
        ([[1, 1], [1, 1]], "no neutral element"),
        ([[0, 1], [1, 1]], "element 1 has no inverse"),
        (LOOP, "not associative"),
    ],
)
def test_a_table_of_no_group_is_refused_and_the_message_names_the_axiom(rows: list[list[int]], why: str) -> None:
    with pytest.raises(GroupError, match=why):
        groups.multiplication(rows)


def test_the_example_in_the_message_does_break_the_law() -> None:
    with pytest.raises(GroupError) as refused:
        groups.multiplication(LOOP)
    x, y, z = map(int, re.match(r"is not associative: \((\d)·(\d)\)·(\d)", str(refused.value)).groups())
    assert LOOP[LOOP[x][y]][z] != LOOP[x][LOOP[y][z]]
