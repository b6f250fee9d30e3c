"""Settings of tasks: JSON becomes the record of the family that it names."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from general_circuits.records import to_json
from general_circuits.tasks.bits import Boolean, Parity
from general_circuits.tasks.digits import Digits
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.settings import AnyTask, Task, family_module

ANY = TypeAdapter(AnyTask)
TASKS = [
    Modular(("x+y", "x-y"), 7),
    GroupTask("x*y", "S3"),
    GroupTask("x*y", ((0, 1), (1, 0))),
    Parity(5, 2, 20),
    Boolean(2, "0110"),
    Digits(),
]


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_json_is_read_as_the_record_of_its_family(task: Task) -> None:
    read = ANY.validate_json(to_json(task))
    assert read == task
    assert type(read) is type(task)


def test_a_record_is_left_as_it_is() -> None:
    task = Modular(("x+y",), 7)
    assert ANY.validate_python(task) is task


def test_settings_of_no_task_are_refused() -> None:
    with pytest.raises(ValidationError):
        ANY.validate_python("x+y")
    with pytest.raises(ValidationError, match="modulus"):
        ANY.validate_json('{"family": "modular", "formulas": ["x+y"]}')


def test_a_family_without_a_file_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError, match=family_module("knots")):
        ANY.validate_json('{"family": "knots"}')
