"""The list of operations: each has a file, and a path of its own."""

from __future__ import annotations

import importlib
import itertools
import re

import pytest

from general_circuits.conditions import Task
from general_circuits.tasks import registry


@pytest.mark.parametrize("operation", registry.OPERATIONS)
def test_every_operation_has_a_module_that_generates_it(operation: str) -> None:
    module = importlib.import_module(registry.family_module(operation))
    table, again = module.generate(Task(operation, 7)), registry.generate(Task(operation, 7))
    assert table.target.tolist() == again.target.tolist()


def test_only_division_needs_a_prime() -> None:
    assert [name for name, operation in registry.OPERATIONS.items() if operation.needs_prime] == ["x/y"]


@pytest.mark.parametrize(
    ("operation", "stem"),
    [
        ("x+y", "x_plus_y_mod_97"),
        ("x-y", "x_minus_y_mod_97"),
        ("x*y", "x_times_y_mod_97"),
        ("x/y", "x_over_y_mod_97"),
    ],
)
def test_file_stems(operation: str, stem: str) -> None:
    assert registry.file_stem(Task(operation, 97)) == stem


def test_different_tasks_have_different_and_portable_stems() -> None:
    tasks = [Task(*choice) for choice in itertools.product(registry.OPERATIONS, (2, 12, 121, 97))]
    stems = [registry.file_stem(task) for task in tasks]
    assert len(set(stems)) == len(tasks)
    assert all(re.fullmatch(r"[a-z0-9_]+", stem) for stem in stems)
