"""The operations a config may name. A new task is a file beside this one and a line here.

No stage imports this list, so that a new line reruns nothing.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from functools import lru_cache

from general_circuits.conditions import Task
from general_circuits.tasks.table import TaskTable


@dataclass(frozen=True)
class Operation:
    """Which file computes it, and what it needs of its modulus."""

    family: str
    needs_prime: bool = False


OPERATIONS = {
    "x+y": Operation("modular"),
    "x-y": Operation("modular"),
    "x*y": Operation("modular"),
    "x/y": Operation("modular", needs_prime=True),
}

_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over"}


def family_module(operation: str) -> str:
    """The module that computes this operation."""
    return f"general_circuits.tasks.{OPERATIONS[operation].family}"


def file_stem(task: Task) -> str:
    """The task's name in a path, "x_plus_y_mod_97"."""
    spelled = re.sub(r"[-+*/]", lambda sign: f"_{_WORDS[sign.group()]}_", task.operation)
    return f"{spelled}_mod_{task.modulus}"


@lru_cache
def generate(task: Task) -> TaskTable:
    """The task's table."""
    return importlib.import_module(family_module(task.operation)).generate(task)
