"""Modular arithmetic against Python's integers and repeated steps, which share nothing with the code."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from general_circuits.tasks import modular
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.table import NO_WRAP
from general_circuits.tasks.vocabulary import Vocabulary

PRIMES = st.sampled_from([2, 3, 5, 7, 11, 13, 17, 19, 23])
MODULI = st.integers(2, 24)


def sum_by_increments(a: int, b: int, p: int) -> int:
    """a + b on a clock of p hours, one hour at a time."""
    hour = a
    for _ in range(b):
        hour = 0 if hour == p - 1 else hour + 1
    return hour


def product_by_increments(a: int, b: int, p: int) -> int:
    """a · b as b-fold addition on the clock."""
    total = 0
    for _ in range(b):
        total = sum_by_increments(total, a, p)
    return total


@settings(deadline=None, max_examples=20)
@given(MODULI)
def test_sum_is_repeated_increment(p: int) -> None:
    table = modular.generate(Modular(("x+y",), p))
    assert table.target.tolist() == [sum_by_increments(a, b, p) for a, b in itertools.product(range(p), repeat=2)]


@settings(deadline=None, max_examples=20)
@given(MODULI)
def test_difference_plus_subtrahend_is_minuend(p: int) -> None:
    table = modular.generate(Modular(("x-y",), p))
    sums = [sum_by_increments(t, b, p) for t, b in zip(table.target.tolist(), table.inputs[:, 1].tolist(), strict=True)]
    assert sums == table.inputs[:, 0].tolist()


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 13))
def test_product_is_repeated_addition(p: int) -> None:
    table = modular.generate(Modular(("x*y",), p))
    assert table.target.tolist() == [product_by_increments(a, b, p) for a, b in itertools.product(range(p), repeat=2)]


@settings(deadline=None, max_examples=15)
@given(PRIMES)
def test_quotient_times_divisor_is_dividend(p: int) -> None:
    table = modular.generate(Modular(("x/y",), p))
    assert all(
        (t * b - a) % p == 0 for a, b, t in zip(*(x.tolist() for x in (*table.inputs.T, table.target)), strict=True)
    )
    assert 0 <= table.target.min() <= table.target.max() < p


def test_largest_modulus_does_not_overflow() -> None:
    p = 1021  # the largest prime that a config allows
    for operation in ("x*y", "x/y"):
        table = modular.generate(Modular((operation,), p))
        a, b, target = (x.astype(np.int64) for x in (table.inputs[:, 0], table.inputs[:, 1], table.target))
        product, of = (a * b, target) if operation == "x*y" else (target * b, a)
        assert ((product - of) % p == 0).all()


@pytest.mark.parametrize(
    ("operation", "a", "b", "target", "wrap"),
    [
        ("x+y", 3, 6, 2, 1),
        ("x+y", 3, 3, 6, 0),
        ("x-y", 2, 5, 4, -1),
        ("x-y", 5, 2, 3, 0),
        ("x*y", 5, 6, 2, 4),
        ("x*y", 0, 6, 0, 0),
        ("x/y", 1, 3, 5, NO_WRAP),  # 3 · 5 = 15 = 1 mod 7
        ("x/y", 0, 4, 0, NO_WRAP),
    ],
)
def test_known_examples_modulo_7(operation: str, a: int, b: int, target: int, wrap: int) -> None:
    table = modular.generate(Modular((operation,), 7))
    (row,) = np.flatnonzero((table.inputs[:, 0] == a) & (table.inputs[:, 1] == b))
    assert (table.target[row], table.wrap[row]) == (target, wrap)


@settings(deadline=None, max_examples=15)
@given(PRIMES, st.sampled_from(["x+y", "x-y", "x*y", "x/y"]))
def test_table_is_complete_and_sorted(p: int, operation: str) -> None:
    table = modular.generate(Modular((operation,), p))
    first_divisor = 1 if operation == "x/y" else 0
    everything = list(itertools.product(range(p), range(first_divisor, p)))
    assert list(zip(table.inputs[:, 0].tolist(), table.inputs[:, 1].tolist(), strict=True)) == everything
    assert len(table.target) == (p * (p - 1) if operation == "x/y" else p**2)
    assert table.vocabulary == Vocabulary(2, p, p)


EXACT = {
    "x^2+y^2": lambda x, y: x * x + y * y,
    "x^2+x*y+y^2": lambda x, y: x * x + x * y + y * y,
    "x^2+x*y+y^2+x": lambda x, y: x * x + x * y + y * y + x,
    "x^3+x*y": lambda x, y: x * x * x + x * y,
    "x^3+x*y^2+y": lambda x, y: x * x * x + x * y * y + y,
}


@settings(deadline=None, max_examples=30)
@given(MODULI, st.sampled_from(list(EXACT)))
def test_polynomials_and_their_bands_are_those_of_whole_numbers(p: int, operation: str) -> None:
    table = modular.generate(Modular((operation,), p))
    for a, b, target, m in zip(*(x.tolist() for x in (*table.inputs.T, table.target, table.wrap)), strict=True):
        assert divmod(EXACT[operation](a, b), p) == (m, target)


@settings(deadline=None, max_examples=10)
@given(PRIMES)
def test_odd_y_divides_and_even_y_subtracts(p: int) -> None:
    table = modular.generate(Modular(("x/y if y is odd else x-y",), p))
    assert len(table) == p**2  # 0 is even: nothing is divided by it
    for a, b, target in zip(*(x.tolist() for x in (*table.inputs.T, table.target)), strict=True):
        assert (target * b - a if b % 2 else target - (a - b)) % p == 0
    assert (table.wrap == NO_WRAP).all()


@settings(deadline=None, max_examples=20)
@given(MODULI, st.integers(1, 6))
def test_x_modulo_the_number_of_formulas_chooses_one(p: int, q: int) -> None:
    q = min(p, q)
    table = modular.generate(Modular(tuple(f"x+{i + 1}*y" for i in range(q)), p))
    for a, b, target, m in zip(*(x.tolist() for x in (*table.inputs.T, table.target, table.wrap)), strict=True):
        assert divmod(a + (a % q + 1) * b, p) == (m, target)


@pytest.mark.parametrize(
    ("operation", "commutes"),
    [
        *((operation, True) for operation in ("x+y", "x*y", "x^2+y^2", "x^2+x*y+y^2")),
        *((operation, False) for operation in ("x-y", "x/y", "x/y if y is odd else x-y", "x^2+x*y+y^2+x")),
        *((operation, False) for operation in ("x^3+x*y", "x^3+x*y^2+y")),
    ],
)
def test_an_operation_commutes_or_not(operation: str, commutes: bool) -> None:
    table = modular.generate(Modular((operation,), 97))
    assert table.is_commutative == commutes
    results = {tuple(row): target for row, target in zip(table.inputs.tolist(), table.target.tolist(), strict=True)}
    mirrored = all(results[b, a] == target for (a, b), target in results.items() if (b, a) in results)
    assert mirrored == commutes


@settings(deadline=None, max_examples=20)
@given(MODULI, st.sampled_from(["x+y", "x-y", "x*y"]))
def test_wrap_is_the_band_of_the_unreduced_value(p: int, operation: str) -> None:
    table = modular.generate(Modular((operation,), p))
    value = {"x+y": int.__add__, "x-y": int.__sub__, "x*y": int.__mul__}[operation]
    for a, b, m, target in zip(*(x.tolist() for x in (*table.inputs.T, table.wrap, table.target)), strict=True):
        assert m * p <= value(a, b) < (m + 1) * p
        assert value(a, b) == m * p + target


def test_quotients_have_no_band() -> None:
    assert (modular.generate(Modular(("x/y",), 11)).wrap == NO_WRAP).all()


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 11).filter(lambda p: p in (2, 3, 5, 7, 11)), st.sampled_from(["x+y", "x/y"]))
def test_pairs_are_equal_exactly_where_unordered_operands_are(p: int, operation: str) -> None:
    table = modular.generate(Modular((operation,), p))
    names: dict[frozenset[int], set[int]] = {}
    for a, b, pair in zip(table.inputs[:, 0].tolist(), table.inputs[:, 1].tolist(), table.pair.tolist(), strict=True):
        names.setdefault(frozenset((a, b)), set()).add(pair)
    assert all(len(of_one) == 1 for of_one in names.values())
    assert len(set.union(*names.values())) == len(names)


def test_quotients_need_a_prime() -> None:
    with pytest.raises(ValueError, match="invertible"):
        modular.generate(Modular(("x/y",), 6))
