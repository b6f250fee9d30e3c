"""Task tables: unordered pairs have one number each, and columns without a meaning are missing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.tasks.table import NO_WRAP, TaskTable, all_pairs, unordered_pair, unrelated
from general_circuits.tasks.vocabulary import Vocabulary


def table(inputs: list[list[int]], target: list[int], n_symbols: int = 3) -> TaskTable:
    return unrelated(np.array(inputs), np.array(target), Vocabulary(len(inputs[0]), n_symbols, 4))


def test_all_pairs_are_in_order_with_the_second_operand_running_faster() -> None:
    assert all_pairs(2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert len(all_pairs(7)) == 49


@given(st.integers(1, 12))
def test_unordered_pairs_have_the_same_number_exactly_if_they_are_the_same(n: int) -> None:
    a, b = all_pairs(n).T
    numbers = unordered_pair(a, b, n)
    sets = [frozenset(pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    for (number, one), (other_number, other) in itertools.combinations(zip(numbers, sets, strict=True), 2):
        assert (number == other_number) == (one == other)
    assert len(set(numbers.tolist())) == n * (n + 1) // 2


def test_two_inputs_are_operands_of_an_unordered_pair_and_three_are_not() -> None:
    two = table([[0, 1], [1, 0], [2, 2]], [0, 0, 1])
    assert two.pair[0] == two.pair[1] != two.pair[2]
    three = table([[0, 1, 2], [1, 0, 2]], [0, 0])
    assert three.pair.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("inputs", "target", "commutes"),
    [
        ([[0, 1], [1, 0], [2, 2]], [3, 3, 0], True),
        ([[0, 1], [1, 0], [2, 2]], [3, 2, 0], False),
        ([[0, 1], [0, 2], [2, 2]], [3, 2, 0], True),  # without mirror images there is nothing to differ
        ([[0, 1, 0], [1, 0, 0]], [3, 2], None),
    ],
)
def test_a_table_commutes_if_mirror_images_have_one_answer(
    inputs: list[list[int]], target: list[int], commutes: bool | None
) -> None:
    assert table(inputs, target).is_commutative == commutes


def test_a_frame_has_operands_or_inputs_and_a_missing_band_where_there_is_none() -> None:
    operands = TaskTable(
        np.array([[0, 1], [1, 0]], dtype=np.int32),
        np.array([1, 1], dtype=np.int32),
        np.array([1, 1], dtype=np.int32),
        np.array([-1, NO_WRAP], dtype=np.int32),
        Vocabulary(2, 2, 2),
    ).frame()
    assert operands[["example", "a", "b", "target", "pair"]].to_numpy().tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 1, 1]]
    assert operands["inputs"].isna().all()
    assert operands["wrap"].isna().tolist() == [False, True]
    assert operands["wrap"][0] == -1
    inputs = table([[0, 1, 2], [2, 1, 0]], [0, 3]).frame()
    assert inputs[["a", "b", "wrap"]].isna().all(axis=None)
    assert [row.tolist() for row in inputs["inputs"]] == [[0, 1, 2], [2, 1, 0]]


def test_columns_have_32_bits() -> None:
    some = table([[0, 1], [1, 0]], [0, 3])
    assert {str(column.dtype) for column in (some.inputs, some.target, some.pair, some.wrap)} == {"int32"}
