"""Settings of a task and of its split, as the stages get them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf, TypeAdapter


class Task:
    """Settings of one table of examples.

    Every family of tasks has a file under `tasks/` with a subclass of this, named `RECORD` there, and with
    `generate(task) -> TaskTable`. Nothing lists the families here, so that a new one changes no other job's code.

    Attributes:
        family: the file's name.
    """

    family: str


def family_module(family: str) -> str:
    """Return the dotted name of the module that has a family's settings and generates its tasks."""
    return f"general_circuits.tasks.{family}"


def _of_family(settings: Any) -> Any:
    """Read settings that were JSON as the record of their family."""
    if not isinstance(settings, Mapping):
        return settings
    record: Any = importlib.import_module(family_module(settings["family"])).RECORD
    return TypeAdapter(record).validate_python(settings)


AnyTask = Annotated[InstanceOf[Task], BeforeValidator(_of_family)]
"""A task of whatever family its settings name."""


@dataclass(frozen=True)
class Split:
    """Which examples train, and which of their labels are replaced.

    `train_size` is a share of the examples, or a whole number of them.
    """

    train_size: float | int
    split_by: Literal["pair", "example"]
    split_seed: int | Literal["replica"]
    label_noise: float
    label_seed: int | Literal["replica"]
