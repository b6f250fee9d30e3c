"""Tasks that settings describe, a name in a path for each, and settings that are refused."""

from __future__ import annotations

import importlib
import itertools
import re
from types import SimpleNamespace
from typing import Any

import pytest

from general_circuits.tasks import registry
from general_circuits.tasks.bits import Boolean, Parity
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import Task, family_module

KLEIN = tuple(tuple(a ^ b for b in range(4)) for a in range(4))
NAMED = [
    *(Modular((operation,), 7) for operation in registry.MODULAR),
    *(GroupTask(operation, group) for operation in registry.IN_GROUPS for group in ("S3", "D4", "C5", KLEIN)),
    Parity(10, 3, 100),
    Boolean(3, "majority"),
    Boolean(3, "01101001"),
    Digits(),
]


def settings(**given: Any) -> SimpleNamespace:
    """A config's task keys with their defaults, but for the given ones."""
    usual = {"operation": "x+y", "expression": None, "modulus": 7, "group": None}
    return SimpleNamespace(**usual | {"bits": 10, "relevant_bits": 3, "examples": 100, "function": None} | given)


@pytest.mark.parametrize("task", NAMED, ids=registry.file_stem)
def test_every_task_is_made_by_its_familys_module(task: Task) -> None:
    table = importlib.import_module(family_module(task.family)).generate(task)
    assert table.target.tolist() == registry.generate(task).target.tolist()
    vocabulary = table.vocabulary
    assert table.inputs.shape == (len(table), vocabulary.n_inputs)
    assert 0 <= table.inputs.min() <= table.inputs.max() < vocabulary.n_symbols
    assert 0 <= table.target.min() <= table.target.max() < vocabulary.n_classes
    assert {str(part.dtype) for part in (table.inputs, table.target, table.pair, table.wrap)} == {"int32"}
    assert len({tuple(row) for row in table.inputs.tolist()}) == len(table)


@pytest.mark.parametrize(
    ("task", "stem"),
    [
        (Modular(("x+y",), 97), "x_plus_y_mod_97"),
        (Modular(("x-y",), 97), "x_minus_y_mod_97"),
        (Modular(("x*y",), 97), "x_times_y_mod_97"),
        (Modular(("x/y",), 97), "x_over_y_mod_97"),
        (Modular(("x^3+x*y^2+y",), 97), "x_to_3_plus_x_times_y_to_2_plus_y_mod_97"),
        (Modular(("x/y if y is odd else x-y",), 97), "x_over_y_if_y_is_odd_else_x_minus_y_mod_97"),
        (Modular(("x+y", "x+2*y"), 97), "x_plus_y_then_x_plus_2_times_y_mod_97"),
        (GroupTask("x*y*x^-1", "S5"), "x_times_y_times_x_to_inverse_in_s5"),
        (Parity(40, 3, 2000), "parity_of_3_of_40_bits_2000"),
        (Digits(), "digits"),
    ],
)
def test_file_stems_spell_out_the_task(task: Task, stem: str) -> None:
    assert registry.file_stem(task) == stem


def test_different_tasks_have_different_and_portable_stems() -> None:
    texts = [*registry.MODULAR, "(x+y)*2", "x+y*2", "-x", "x", "+".join(["x^2"] * 30), "+".join(["y^2"] * 30)]
    lists = [*((text,) for text in texts), ("x+y", "x-y"), ("x-y", "x+y")]
    tasks = [Modular(*choice) for choice in itertools.product(lists, (2, 12, 121, 97))]
    tasks += [task for task in NAMED if not isinstance(task, Modular)]
    stems = [registry.file_stem(task) for task in tasks]
    assert len(set(stems)) == len(tasks)
    assert all(re.fullmatch(r"[a-z0-9_]{1,100}", stem) for stem in stems)


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({}, Modular(("x+y",), 7)),
        ({"operation": "x ** 2 + x*y + y**2"}, Modular(("x^2+x*y+y^2",), 7)),
        ({"operation": ["x+y", "x-y"]}, Modular(("x+y", "x-y"), 7)),
        ({"expression": "3 * x"}, Modular(("3*x",), 7)),
        ({"operation": "x*y", "group": "S4"}, GroupTask("x*y", "S4")),
        ({"operation": "x*y", "group": [[0, 1], [1, 0]]}, GroupTask("x*y", ((0, 1), (1, 0)))),
        ({"operation": "sparse_parity"}, Parity(10, 3, 100)),
        ({"operation": "sparse_parity", "bits": 5}, Parity(5, 3, 32)),
        ({"operation": "boolean", "function": "parity"}, Boolean(10, "parity")),
        ({"operation": "boolean", "bits": 2, "function": "0110"}, Boolean(2, "0110")),
        ({"operation": "digits"}, Digits()),
    ],
)
def test_settings_describe_this_task(given: dict[str, Any], task: Task) -> None:
    assert registry.resolve(settings(**given)) == task


@pytest.mark.parametrize(
    ("given", "key", "right"),
    [
        ({"operation": "x plus y"}, "operation", "no such operation"),
        ({"operation": ["x+y", "x?y"]}, "operation", "did you mean x"),
        ({"operation": []}, "operation", "at least one"),
        ({"operation": "x*y*x"}, "operation", "group: S5"),
        ({"operation": "x+y", "group": "S5"}, "operation", "one of x*y, x*y*x^-1, x*y*x"),
        ({"operation": "x*y", "group": "S7"}, "group", "2 to 1,024 elements"),
        ({"operation": "x*y", "group": "S1"}, "group", "2 to 1,024 elements"),
        ({"operation": "x*y", "group": "S5000"}, "group", "2 to 1,024 elements"),
        ({"operation": "x*y", "group": "Monster"}, "group", "S5, D7, C12"),
        ({"operation": "x*y", "group": [[0, 0], [0, 0]]}, "group", "no neutral element"),
        ({"expression": "x/y", "modulus": 8}, "modulus", "prime, since x/y divides; nearest: 7 or 11"),
        ({"expression": "1/(y-y)"}, "expression", "divides by 0 in every example"),
        ({"expression": "x.real"}, "expression", "attribute"),
        ({"expression": "x+y", "group": "S5"}, "group", "does not go with expression"),
        ({"expression": ["x"] * 8}, "expression", "at most 7"),
        ({"operation": "sparse_parity", "relevant_bits": 11}, "relevant_bits", "at most bits = 10"),
        ({"operation": "boolean"}, "function", "1024 digits"),
        ({"operation": "boolean", "bits": 2, "function": "01101"}, "function", "5 digits; 2 bits have 4 inputs"),
        ({"operation": "boolean", "bits": 17, "function": "and"}, "bits", "at most 16"),
    ],
)
def test_settings_of_no_task_are_refused_and_the_message_says_why(given: dict[str, Any], key: str, right: str) -> None:
    with pytest.raises(registry.TaskError) as refused:
        registry.resolve(settings(**given))
    assert refused.value.key == key
    assert right in refused.value.right
