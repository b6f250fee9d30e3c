"""Formulas in x and y over the integers modulo p.

Python's parser turns a formula into a tree, which is never run as code. A formula has whole numbers, `x`, `y`, `+`,
`-`, `*`, `/`, parentheses, and `^` or `**` with a whole exponent. It may also choose one of two formulas by whether a
letter is odd, "x/y if y is odd else x-y". Everything else is refused, and the message says why.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

LONGEST, DEEPEST, LARGEST_EXPONENT, LARGEST_CONSTANT = 200, 25, 100, 10**9
"""Limits of a formula: characters, levels of nesting, exponents and constants."""

FITS = 2**62
"""Largest value before reduction that is computed, so that none exceeds 64 bits."""

OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "^", ast.UAdd: "+", ast.USub: "-"}
REFUSED = {
    ast.Call: "calls something; only +, -, *, / and ^ of x, y and whole numbers are computed",
    ast.Attribute: "reads an attribute; only x, y and whole numbers are known",
    ast.Subscript: "reads an item; only x, y and whole numbers are known",
    ast.Mod: "has %: every value is reduced modulo p already",
    ast.FloorDiv: "has //: write /, which is division modulo p",
    ast.Compare: "compares; only `… if y is odd else …` chooses",
    ast.IfExp: "chooses; only `… if y is odd else …` at the outside can",
}
"""Reasons for refusing what users are likely to try."""

CHOICE = re.compile(r"(.+)\bif\s+([xy])\s+is\s+(odd|even)\s+else\b(.+)", re.DOTALL)


class FormulaError(ValueError):
    """A text that is no formula; the message says why."""


@dataclass(frozen=True)
class Formula:
    """A parsed formula.

    Attributes:
        text: the formula in its one spelling, so that equal formulas have equal texts.
        tree: the formula's syntax tree; with a condition, the tree used where the condition holds.
        condition: a letter, and whether it must be odd; None if `tree` always holds.
        otherwise: the tree used where the condition does not hold.
    """

    text: str
    tree: ast.expr
    condition: tuple[str, bool] | None = None
    otherwise: ast.expr | None = None

    @property
    def divides(self) -> bool:
        """Return whether the formula needs inverses modulo p."""
        trees = [self.tree] if self.otherwise is None else [self.tree, self.otherwise]
        return any(isinstance(node, ast.Div) for tree in trees for node in ast.walk(tree))


@dataclass(frozen=True)
class Values:
    """A formula's values; each array is (example).

    Attributes:
        reduced: values from 0 to p − 1. They mean nothing where the formula is not defined.
        is_defined: whether no divisor is 0 modulo p.
        unreduced: values before reduction. None if the formula divides, or if one could be larger than `FITS`.
    """

    reduced: Integers
    is_defined: NDArray[np.bool_]
    unreduced: Integers | None


def parse(text: str) -> Formula:
    """Parse a text into a formula.

    Raises:
        FormulaError: the text is no formula; the message says why.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"is {len(text)} letters long; at most {LONGEST} are read")
    text = text.strip()
    for letter in text:
        if not " " <= letter <= "~":
            raise FormulaError(f"is no formula: the letter {letter!a} is not on an English keyboard")
    if "#" in text:
        raise FormulaError("has a comment; leave it out")
    if based := re.search(r"\b0[xbo]", text, re.IGNORECASE):
        raise FormulaError(f"has a number that begins with {based[0]}; write it in digits")
    choice = CHOICE.fullmatch(text)
    if not choice:
        tree = _tree(text)
        return Formula(_spelled(tree), tree)
    first, letter, parity, second = choice.groups()
    tree, otherwise = _tree(first), _tree(second)
    spelled = f"{_spelled(tree)} if {letter} is {parity} else {_spelled(otherwise)}"
    return Formula(spelled, tree, (letter, parity == "odd"), otherwise)


def evaluate(formula: Formula, x: Integers, y: Integers, p: int) -> Values:
    """Return the formula's values modulo p.

    Args:
        formula: a parsed formula.
        x, y: the operands, each (example), from 0 to p − 1.
        p: the modulus, a prime if the formula divides.
    """
    # Both trees are computed for all examples, and the condition picks between them example by example.
    values = _values(formula.tree, x, y, p)
    if formula.condition is None or formula.otherwise is None:
        return values
    letter, is_odd = formula.condition
    holds = ((x if letter == "x" else y) % 2 == 1) == is_odd
    other = _values(formula.otherwise, x, y, p)
    unreduced = None
    if values.unreduced is not None and other.unreduced is not None:
        unreduced = np.where(holds, values.unreduced, other.unreduced)
    reduced = np.where(holds, values.reduced, other.reduced)
    return Values(reduced, np.where(holds, values.is_defined, other.is_defined), unreduced)


def _tree(text: str) -> ast.expr:
    """Parse a formula without a condition; `FormulaError` if it is none."""
    try:
        # In Python ^ binds more loosely than +, which ** does not.
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        hint = "; write 2*x for 2x" if re.search(r"\d\s*[xy(]|[xy)]\s*[xy(]", text) else ""
        raise FormulaError(f"is no formula in x and y{hint}") from None
    _check(tree, 1)
    return tree


def _check(node: ast.expr, depth: int) -> None:
    """Raise `FormulaError` if a node is no part of a formula, or one below it is not."""
    if depth > DEEPEST:
        raise FormulaError(f"is nested more than {DEEPEST} deep")
    match node:
        case ast.BinOp(left, ast.Pow(), right):
            # `type(…) is int`, since True and False are instances of int too.
            is_whole = isinstance(right, ast.Constant) and type(right.value) is int
            if not is_whole or not 0 <= right.value <= LARGEST_EXPONENT:  # type: ignore[attr-defined]
                raise FormulaError(
                    f"has the exponent {ast.unparse(right)}; whole numbers from 0 to {LARGEST_EXPONENT} can be"
                )
            _check(left, depth + 1)
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            _check(left, depth + 1)
            _check(right, depth + 1)
        case ast.UnaryOp(operator, operand) if type(operator) in OPERATORS:
            _check(operand, depth + 1)
        case ast.Constant(value) if type(value) is int:
            if value > LARGEST_CONSTANT:
                raise FormulaError(f"has the number {value}; numbers to {LARGEST_CONSTANT:,} can be")
        case ast.Name("x" | "y"):
            pass
        case ast.Name(name):
            raise FormulaError(f"has the name {name}; only x and y are known")
        case ast.Constant(value):
            raise FormulaError(f"has {value!r}, which is no whole number")
        case ast.BinOp(op=operator):
            raise FormulaError(REFUSED.get(type(operator), _only(node)))
        case _:
            raise FormulaError(REFUSED.get(type(node), _only(node)))


def _only(node: ast.expr) -> str:
    """Say what a formula may have instead of this node."""
    return f"has {ast.unparse(node)}; only +, -, *, / and ^ of x, y and whole numbers are computed"


def _spelled(tree: ast.expr) -> str:
    """Return a tree's one spelling: ^ for powers, no spaces, no needless parentheses."""
    return ast.unparse(tree).replace("**", "^").replace(" ", "")


def _values(tree: ast.expr, x: Integers, y: Integers, p: int) -> Values:
    is_defined = np.ones(len(x), dtype=bool)
    reduced = _reduced(tree, x, y, p, is_defined)
    can_be_computed = not any(isinstance(node, ast.Div) for node in ast.walk(tree)) and _bound(tree, p - 1) <= FITS
    return Values(reduced, is_defined, _unreduced(tree, x, y) if can_be_computed else None)


def _reduced(tree: ast.expr, x: Integers, y: Integers, p: int, is_defined: NDArray[np.bool_]) -> Integers:
    """Return values modulo p, (example). Clear `is_defined` in place where a divisor is 0."""
    match tree:
        case ast.BinOp(left, ast.Pow(), ast.Constant(int(exponent))):
            powers = np.array([pow(n, exponent, p) for n in range(p)], dtype=np.int64)
            return powers[_reduced(left, x, y, p, is_defined)]
        case ast.BinOp(left, ast.Div(), right):
            divisor = _reduced(right, x, y, p, is_defined)
            is_defined &= divisor != 0
            # Where the divisor is 0 the quotient is not defined; the table's first 0 only fills its place.
            inverse = np.array([0] + [pow(n, -1, p) for n in range(1, p)], dtype=np.int64)
            return _reduced(left, x, y, p, is_defined) * inverse[divisor] % p
        case ast.BinOp(left, operator, right):
            first, second = (_reduced(side, x, y, p, is_defined) for side in (left, right))
            return _applied(operator, first, second) % p
        case ast.UnaryOp(operator, operand):
            value = _reduced(operand, x, y, p, is_defined)
            return (-value if isinstance(operator, ast.USub) else value) % p
        case _:
            return _leaf(tree, x, y) % p


def _unreduced(tree: ast.expr, x: Integers, y: Integers) -> Integers:
    """Return values before reduction, (example), of a tree that does not divide."""
    match tree:
        case ast.BinOp(left, ast.Pow(), ast.Constant(int(exponent))):
            return _unreduced(left, x, y) ** exponent
        case ast.BinOp(left, operator, right):
            return _applied(operator, _unreduced(left, x, y), _unreduced(right, x, y))
        case ast.UnaryOp(operator, operand):
            value = _unreduced(operand, x, y)
            return -value if isinstance(operator, ast.USub) else value
        case _:
            return _leaf(tree, x, y)


def _bound(tree: ast.expr, largest: int) -> int:
    """Return a bound on the size of a tree's values and of all that they are computed from; x, y ≤ `largest`.

    The base of a power of 0 may be larger, but that power is 1 whatever its base overflows to.
    """
    match tree:
        case ast.BinOp(left, ast.Pow(), ast.Constant(int(exponent))):
            bound = max(1, _bound(left, largest)) ** exponent
        case ast.BinOp(left, operator, right):
            # At least 1 each, or a factor of 0 would hide how large the other one is.
            first, second = max(1, _bound(left, largest)), max(1, _bound(right, largest))
            bound = first * second if isinstance(operator, ast.Mult) else first + second
        case ast.UnaryOp(_, operand):
            bound = _bound(operand, largest)
        case ast.Constant(int(value)):
            bound = value
        case _:
            bound = largest
    return min(bound, FITS + 1)  # cut here, or powers of powers would grow beyond all memory


def _applied(operator: ast.operator, left: Integers, right: Integers) -> Integers:
    if isinstance(operator, ast.Add):
        return left + right
    return left - right if isinstance(operator, ast.Sub) else left * right


def _leaf(tree: ast.expr, x: Integers, y: Integers) -> Integers:
    if isinstance(tree, ast.Constant):
        return np.full_like(x, tree.value)
    return x if isinstance(tree, ast.Name) and tree.id == "x" else y
