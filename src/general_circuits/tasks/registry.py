"""Tasks that a config may name, and the task that its settings describe.

A new operation is a line here. A new family is also a file beside this one. No stage imports this list, so a new line
reruns nothing.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from general_circuits.records import to_json
from general_circuits.tasks import formula, groups
from general_circuits.tasks.bits import LARGEST_TRUTH_TABLE, NAMED, Boolean, Parity
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task, family_module
from general_circuits.tasks.table import TaskTable

POWER = "Power et al. 2022, appendix A.1.1"

MODULAR = {
    "x+y": POWER,
    "x-y": POWER,
    "x*y": "the hypothesis",
    "x/y": POWER,
    "x/y if y is odd else x-y": POWER,
    "x^2+y^2": POWER,
    "x^2+x*y+y^2": POWER,
    "x^2+x*y+y^2+x": POWER,
    "x^3+x*y": POWER,
    "x^3+x*y^2+y": POWER,
}
"""Operations modulo p, each a formula, and their sources."""

IN_GROUPS = {
    "x*y": POWER,
    "x*y*x^-1": POWER,
    "x*y*x": POWER,
}
"""Operations in a group, and their sources."""

OTHERS = {
    "sparse_parity": "Merrill et al. 2023, (40, 3)",
    "boolean": "as in Valle-Pérez et al. 2019",
    "digits": "scikit-learn; Alpaydin and Kaynak 1998",
}
"""Tasks whose inputs are not two operands, and their sources."""

CATALOGUE: list[tuple[dict[str, Any], str]] = [
    *(({"operation": name, "modulus": 97}, source) for name, source in MODULAR.items()),
    ({"operation": ["x+y", "x-y"], "modulus": 97}, "the hypothesis' comments: complexity"),
    ({"expression": "x^2+3*x*y-1", "modulus": 97}, "your own"),
    *(({"operation": name, "group": "S5"}, source) for name, source in IN_GROUPS.items()),
    ({"operation": "x*y", "group": "D7"}, "any S, D or C"),
    ({"operation": "x*y", "group": "C12"}, "any S, D or C"),
    ({"operation": "x*y", "group": [[0, 1], [1, 0]]}, "your own"),
    (
        {"operation": "sparse_parity", "bits": 40, "relevant_bits": 3, "examples": 2000},
        OTHERS["sparse_parity"],
    ),
    ({"operation": "boolean", "bits": 7, "function": "majority"}, OTHERS["boolean"]),
    ({"operation": "digits"}, OTHERS["digits"]),
]
"""One example of each task in a config, and its source: the table in docs/tasks.md."""

_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over", "^": "to"}


class TaskError(ValueError):
    """Settings of no task: `key` has the wrong `value`, and `right` says what would be right."""

    def __init__(self, key: str, value: Any, right: str) -> None:
        super().__init__(f"{key} = {value!r}: {right}")
        self.key, self.value, self.right = key, value, right


def resolve(settings: Any) -> Task:
    """Return the task that a config's `TaskSettings` describe.

    Raises:
        TaskError: they describe none.
    """
    if settings.expression is not None:
        _refuse_beside("expression", settings, "group")
        return _arithmetic("expression", settings.expression, settings.modulus)
    operation = settings.operation
    if settings.group is not None:
        return _group(operation, settings.group)
    if operation == "sparse_parity":
        return _parity(settings)
    if operation == "boolean":
        return _boolean(settings.bits, settings.function)
    if operation == "digits":
        return Digits()
    names = [operation] if isinstance(operation, str) else operation
    for name in names:
        if _canonical(name) not in MODULAR:
            if name in IN_GROUPS:
                raise TaskError("operation", name, "composes in a group: name one, as in group: S5")
            known = [*MODULAR, *OTHERS]
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
            own = "; your own goes under expression"
            raise TaskError("operation", operation, f"no such operation{own}; {hint}")
    return _arithmetic("operation", operation, settings.modulus)


def file_stem(task: Task) -> str:
    """Return the task's name in a path, "x_plus_y_mod_97"."""
    match task:
        case Modular(texts, p):
            spelled = "_then_".join(_spelled(text) for text in texts)
            return f"{_short(spelled, texts)}_mod_{p}"
        case GroupTask(operation, group):
            spelled = _spelled(operation.replace("^-1", "^inverse"))
            return f"{spelled}_in_{group.lower() if isinstance(group, str) else f'group_{_digest(group)}'}"
        case Parity(n, k, examples):
            return f"parity_of_{k}_of_{n}_bits_{examples}"
        case Boolean(n, function):
            return f"{function if function in NAMED else f'function_{_digest(function)}'}_of_{n}_bits"
        case Digits():
            return "digits"
    raise TypeError(f"{task!r}: no family has such a task")


@lru_cache
def generate(task: Task) -> TaskTable:
    """Return the task's table."""
    return importlib.import_module(family_module(task.family)).generate(task)


@cache
def n_inputs(task: Task) -> int:
    """Return how many inputs an example has. Conditions that share a task make its table once."""
    return generate(task).vocabulary.n_inputs


def _arithmetic(key: str, written: str | Sequence[str], p: int) -> Modular:
    """Return the task of one formula or several modulo p, written under `key`."""
    texts = [written] if isinstance(written, str) else list(written)
    if not texts:
        raise TaskError(key, written, "should have at least one formula")
    if len(texts) > p:
        raise TaskError(key, written, f"has {len(texts)} formulas; x modulo {p} chooses one, so at most {p} can be")
    parsed = []
    for text in texts:
        try:
            parsed.append(formula.parse(text))
        except formula.FormulaError as error:
            raise TaskError(key, text, str(error)) from None
    for each in parsed:
        if each.divides and not _is_prime(p):
            primes = f"{_prime_from(p, -1)} or {_prime_from(p, 1)}"
            raise TaskError("modulus", p, f"should be prime, since {each.text} divides; nearest: {primes}")
    task = Modular(tuple(each.text for each in parsed), p)
    # The table is made only if need be: it is p² examples.
    if any(each.divides for each in parsed) and not len(generate(task)):
        raise TaskError(key, written, "divides by 0 in every example")
    return task


def _group(operation: Any, group: str | Sequence[Sequence[int]]) -> GroupTask:
    if operation not in IN_GROUPS:
        raise TaskError("operation", operation, f"in a group should be one of {', '.join(IN_GROUPS)}")
    task = GroupTask(operation, group if isinstance(group, str) else tuple(map(tuple, group)))
    try:
        generate(task)
    except groups.GroupError as error:
        raise TaskError("group", group, str(error)) from None
    return task


def _parity(settings: Any) -> Parity:
    _refuse_beside("sparse_parity", settings, "function")
    n, k, examples = settings.bits, settings.relevant_bits, settings.examples
    if k > n:
        raise TaskError("relevant_bits", k, f"should be at most bits = {n}")
    return Parity(n, k, min(examples, 2**n))


def _boolean(n: int, function: str | None) -> Boolean:
    if n > LARGEST_TRUTH_TABLE:
        raise TaskError("bits", n, f"of a boolean function should be at most {LARGEST_TRUTH_TABLE}")
    if function not in NAMED and not re.fullmatch(r"[01]+", function or ""):
        raise TaskError(
            "function", function, f"should be one of {', '.join(NAMED)}, or {2**n} digits 0 and 1 in quotes"
        )
    assert function is not None
    if function not in NAMED and len(function) != 2**n:
        raise TaskError("function", function, f"has {len(function)} digits; {n} bits have {2**n} inputs")
    return Boolean(n, function)


def _refuse_beside(what: str, settings: Any, key: str) -> None:
    """Raise `TaskError` if a key is set that means nothing beside `what`."""
    if getattr(settings, key) is not None:
        raise TaskError(key, getattr(settings, key), f"does not go with {what}; leave it out, or set it to null")


def _canonical(name: str) -> str:
    """Return an operation's one spelling, without spaces and with ^ for **; unchanged if it is no formula."""
    try:
        return formula.parse(name).text
    except formula.FormulaError:
        return name


def _spelled(text: str) -> str:
    """Spell out a formula's signs for a path: "x+y" → "x_plus_y"."""
    words = re.sub(r"[-+*/^]", lambda sign: f"_{_WORDS[sign.group()]}_", text).replace(" ", "_")
    return re.sub(r"__+", "_", words).strip("_")


def _short(spelled: str, texts: tuple[str, ...]) -> str:
    """Return a spelling that is short and has no parentheses as it is, else a name with a digest of the formulas."""
    return spelled if len(spelled) <= 80 and re.fullmatch(r"\w+", spelled) else f"expression_{_digest(texts)}"


def _digest(value: Any) -> str:
    """Return 12 hexadecimal digits that stand for a value in a path."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:12]


def _is_prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, int(n**0.5) + 1))


def _prime_from(n: int, direction: int) -> int:
    """Return the nearest prime upwards (1) or downwards (−1) from n; 2 is the lowest."""
    while not _is_prime(n):
        n = max(2, n + direction)
    return n
