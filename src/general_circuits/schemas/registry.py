"""Tables by name, for the DAG and for stages that are told which tables to read."""

from __future__ import annotations

import importlib
import pkgutil
from typing import NamedTuple

from general_circuits import schemas
from general_circuits.tables import Table


class Entry(NamedTuple):
    """One column in the data dictionary: its table's name, path and what that has one row per, and its own words."""

    table: str
    path: str
    row: str
    column: str
    type: str
    meaning: str


def table(name: str) -> Table:
    """The table of this name."""
    found: Table = importlib.import_module(f"{schemas.__name__}.{name}").TABLE
    return found


def names() -> list[str]:
    """Every table's name."""
    return sorted(module.name for module in pkgutil.iter_modules(schemas.__path__) if module.name != "registry")


def of_blocks() -> list[str]:
    """The tables that a study has one file of for each block."""
    return [name for name in names() if table(name).axes == ["condition", "block"] and table(name).is_of_all]


def dictionary() -> list[Entry]:
    """Every column of every table, in order."""
    return [
        Entry(name, found.path, found.row, column, *words)
        for name, found in ((name, table(name)) for name in names())
        for column, words in found.described().items()
    ]
