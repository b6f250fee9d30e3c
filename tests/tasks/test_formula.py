"""Formulas against Python's whole numbers, and texts that are no formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.tasks import formula
from general_circuits.tasks.formula import FormulaError

LEAVES = st.sampled_from(["x", "y"]) | st.integers(0, 200).map(str)
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        inner.map(lambda part: f"(-{part})"),
        st.tuples(inner, st.integers(0, 4)).map(lambda parts: f"({parts[0]}) ^ {parts[1]}"),
    ),
    max_leaves=6,
)


def grid(p: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(list(itertools.product(range(p), repeat=2)), dtype=np.int64).T
    return x, y


@given(FORMULAS, st.integers(2, 12))
def test_values_are_those_of_unlimited_whole_numbers(text: str, p: int) -> None:
    x, y = grid(p)
    values = formula.evaluate(formula.parse(text), x, y, p)
    code = text.replace("^", "**")
    exact = [eval(code, {"x": a, "y": b}) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert values.reduced.tolist() == [value % p for value in exact]
    assert values.is_defined.all()
    if values.unreduced is not None:
        assert values.unreduced.tolist() == exact
    else:
        assert len(text) > 20  # only long formulas get beyond 2⁶²


@given(FORMULAS)
def test_a_formula_is_spelled_in_one_way(text: str) -> None:
    once = formula.parse(text).text
    assert formula.parse(once).text == once
    assert formula.parse(text.replace(" ", "").replace("^", "**")).text == once


@given(st.sampled_from([2, 3, 5, 7, 11, 13]))
def test_a_quotient_times_its_divisor_is_its_dividend(p: int) -> None:
    x, y = grid(p)
    values = formula.evaluate(formula.parse("(x + 1) / (y - 1)"), x, y, p)
    assert (values.is_defined == ((y - 1) % p != 0)).all()
    assert ((values.reduced * (y - 1) - (x + 1)) % p == 0)[values.is_defined].all()
    assert values.unreduced is None


@pytest.mark.parametrize("letter", ["x", "y"])
@pytest.mark.parametrize("parity", ["odd", "even"])
def test_the_parity_of_a_letter_chooses_the_formula(letter: str, parity: str) -> None:
    x, y = grid(7)
    values = formula.evaluate(formula.parse(f"x*y if {letter} is {parity} else x-y"), x, y, 7)
    value = x if letter == "x" else y
    holds = value % 2 == (1 if parity == "odd" else 0)
    assert values.reduced.tolist() == np.where(holds, x * y, x - y).__mod__(7).tolist()
    assert values.unreduced.tolist() == np.where(holds, x * y, x - y).tolist()


@pytest.mark.parametrize("text", ["x^100*y^100", "((x^100)^100)^100", "x^99 - x^99"])
def test_values_before_reduction_are_missing_where_they_could_be_too_large(text: str) -> None:
    x, y = grid(11)
    values = formula.evaluate(formula.parse(text), x, y, 11)
    assert values.unreduced is None
    exponent = {"x^100*y^100": 100, "((x^100)^100)^100": 100**3}.get(text)
    if exponent:
        other = y if "y" in text else np.ones_like(y)
        both = zip(x.tolist(), other.tolist(), strict=True)
        assert values.reduced.tolist() == [pow(a * b, exponent, 11) for a, b in both]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x.__class__", "attribute"),
        ("().__class__.__bases__[0]", "reads an item"),
        ("__import__('os').system('true')", "calls something"),
        ("print(x)", "calls something"),
        ("x[0]", "reads an item"),
        ("lambda: x", "only +, -, *"),
        ("[x for x in y]", "only +, -, *"),
        ("x if y else x", "… if y is odd else …"),
        ("(x if y is odd else y) + 1", "no formula"),
        ("x < y", "compares"),
        ("x and y", "only +, -, *"),
        ("x @ y", "only +, -, *"),
        ("x << y", "only +, -, *"),
        ("~x", "only +, -, *"),
        ("x % 5", "reduced modulo p already"),
        ("x // y", "write /"),
        ("x^101", "exponent 101; whole numbers from 0 to 100"),
        ("x^-1", "exponent -1"),
        ("x^y", "exponent y"),
        ("x^2^2", "exponent"),
        ("2^2.0", "exponent 2.0"),
        ("x^True", "exponent True"),
        ("True", "no whole number"),
        ("1.5*x", "1.5"),
        ("'x'", "no whole number"),
        ("1j", "no whole number"),
        ("z", "name z"),
        ("os", "name os"),
        ("1000000001*x", "numbers to 1,000,000,000"),
        ("2x", "write 2*x for 2x"),
        ("x y", "write 2*x for 2x"),
        ("x +", "no formula"),
        ("", "no formula"),
        ("x\0", "no formula"),
        ("x = 1", "no formula"),
        ("x; y", "no formula"),
        ("x+" * 100 + "x", "letters long"),
        ("-" * 30 + "x", "nested more than 25 deep"),
        ("(" * 150, "no formula"),
        ("x+" * 40 + "x", "nested more than 25 deep"),
    ],
)
def test_a_text_that_is_no_formula_is_refused_and_the_message_says_why(text: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why.replace("+", r"\+").replace("*", r"\*").replace("^", r"\^")):
        formula.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_refused(text: str) -> None:
    try:
        parsed = formula.parse(text)
    except FormulaError:
        return
    assert formula.evaluate(parsed, *grid(2), 2).reduced.shape == (4,)


def test_a_product_with_0_does_not_hide_how_large_its_other_factor_is() -> None:
    x, y = grid(11)
    assert formula.evaluate(formula.parse("0*x^100"), x, y, 11).unreduced is None
    assert formula.evaluate(formula.parse("0*x^10"), x, y, 11).unreduced.tolist() == [0] * 121


def test_a_power_of_0_is_1_for_every_base() -> None:
    x, y = grid(5)
    values = formula.evaluate(formula.parse("(x^100)^0"), x, y, 5)
    assert values.reduced.tolist() == values.unreduced.tolist() == [1] * 25


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x+y # sum", "has a comment; leave it out"),
        ("x+y#", "has a comment"),
        ("٣*x+y", r"the letter '\\u0663' is not on an English keyboard"),
        ("x+y²", "is not on an English keyboard"),
        ("𝑥+y", "is not on an English keyboard"),
        ("x+\\\ny", "is not on an English keyboard"),
        ("x\u00a0+y", "is not on an English keyboard"),
        ("0x10+y", "begins with 0x; write it in digits"),
        ("x+0B11", "begins with 0B; write it in digits"),
    ],
)
def test_a_text_that_means_something_else_than_it_looks_is_no_formula(text: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        formula.parse(text)
