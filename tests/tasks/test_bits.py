"""Functions of bits against the same functions in Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.tasks import bits
from general_circuits.tasks.bits import Boolean, Parity
from general_circuits.tasks.table import NO_WRAP
from general_circuits.tasks.vocabulary import Vocabulary


@given(st.integers(1, 30), st.integers(1, 30), st.integers(2, 300))
def test_sparse_parity_is_1_if_an_odd_number_of_the_first_bits_is_set(n: int, k: int, examples: int) -> None:
    k = min(k, n)
    table = bits.generate(Parity(n, k, min(examples, 2**n)))
    assert len(table) == min(examples, 2**n)
    assert table.vocabulary == Vocabulary(n, 2, 2)
    rows = [tuple(row) for row in table.inputs.tolist()]
    assert rows == sorted(set(rows))
    assert table.target.tolist() == [sum(row[:k]) % 2 for row in rows]


def test_inputs_are_uniform_and_the_same_every_time() -> None:
    first, second = (bits.generate(Parity(40, 3, 2000)) for _ in range(2))
    assert (first.inputs == second.inputs).all()
    assert np.abs(first.inputs.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(2000)
    assert abs(first.target.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(2000)


@given(st.integers(1, 8), st.data())
def test_a_truth_table_lists_the_values_in_the_order_of_the_inputs(n: int, data: st.DataObject) -> None:
    function = data.draw(st.text("01", min_size=2**n, max_size=2**n))
    table = bits.generate(Boolean(n, function))
    assert "".join(map(str, table.target.tolist())) == function
    numbers = [int("".join(map(str, row)), 2) for row in table.inputs.tolist()]
    assert numbers == list(range(2**n))


@pytest.mark.parametrize(
    ("name", "value"),
    [("and", all), ("or", any), ("parity", lambda x: sum(x) % 2), ("majority", lambda x: sum(x) > len(x) / 2)],
)
@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_named_functions_are_those_of_python(name: str, value, n: int) -> None:
    table = bits.generate(Boolean(n, name))
    assert table.target.tolist() == [int(value(row)) for row in table.inputs.tolist()]


def test_two_bits_are_operands_and_more_are_not() -> None:
    two, three = bits.generate(Boolean(2, "0010")), bits.generate(Boolean(3, "parity"))
    assert (two.is_commutative, bits.generate(Boolean(2, "0110")).is_commutative) == (False, True)
    assert three.is_commutative is None
    assert two.frame()[["a", "b"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert three.frame()["a"].isna().all()
    assert three.frame()["inputs"][5].tolist() == [1, 0, 1]
    assert len(set(three.pair.tolist())) == 8
    assert (three.wrap == NO_WRAP).all()
