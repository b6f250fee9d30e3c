"""Tables by name, for the DAG and for stages that are told which tables to read."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from general_circuits.storage import schemas, tables
from general_circuits.storage.tables import Table


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


def read(
    results: Path, names: Iterable[str], axes: Mapping[str, Mapping[str, Sequence[Any]]]
) -> dict[str, pd.DataFrame]:
    """The tables of these names along their axes, by name.

    A table that has all of a study's conditions in one file is given with those that the others are of.
    """
    found = {name: tables.read_study(results, table(name), axes[name]) for name in names}
    of_some = [along["condition"] for along in axes.values() if "condition" in along]
    shown = {condition for conditions in of_some for condition in conditions}
    return {
        name: frame[frame["condition"].isin(shown)] if shown and _lists_conditions(table(name)) else frame
        for name, frame in found.items()
    }


def _lists_conditions(of: Table) -> bool:
    return "condition" in of.key and "condition" not in of.axes


def dictionary() -> list[Entry]:
    """Every column of every table, in order."""
    return [
        Entry(name, found.path, found.row, column, *words)
        for name, found in ((name, table(name)) for name in names())
        for column, words in found.described().items()
    ]
