"""Settings of a task and of its split, as stages receive them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, InstanceOf, TypeAdapter


class Task:
    """Settings of one table of examples.

    Every family of tasks has a file under `tasks/`. The file has a subclass of this class, also named `RECORD`, and a
    function `generate(task) -> TaskTable`. Nothing here lists the families, so a new one changes no other job's code.

    Attributes:
        family: the name of the family's file.
    """

    family: str


def family_module(family: str) -> str:
    """Return the dotted name of the module that has a family's settings and generates its tasks."""
    return f"general_circuits.tasks.{family}"


def _of_family(settings: Any) -> Any:
    """Turn settings read from JSON into the record of their family; leave a record as it is."""
    if not isinstance(settings, Mapping):
        return settings
    record: Any = importlib.import_module(family_module(settings["family"])).RECORD
    return TypeAdapter(record).validate_python(settings)


AnyTask = Annotated[InstanceOf[Task], BeforeValidator(_of_family)]
"""Task of any family; pydantic reads it from JSON as the record that `family` names."""


@dataclass(frozen=True)
class Split:
    """Rule for which examples train, and for which training labels are replaced by random ones.

    `train_size` is a share of the examples (a float), or their number (an int). A seed may be the replica's own.
    Random labels are drawn for every example, once for both orders of a pair, or as a random Latin square.
    """

    train_size: float | int
    split_by: Literal["pair", "example"]
    split_seed: int | Literal["replica"]
    label_noise: float
    label_noise_by: Literal["example", "pair", "latin_square"]
    label_seed: int | Literal["replica"]
