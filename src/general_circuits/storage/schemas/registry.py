"""Tables by name, for the pipeline's DAG and for stages that receive names of tables."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from general_circuits.storage import index, schemas, tables
from general_circuits.storage.files import UnusableFileError, place_of
from general_circuits.storage.tables import Table


class Entry(NamedTuple):
    """One column in the data dictionary, with its table's name, path and rows."""

    table: str
    path: str
    row: str
    column: str
    type: str
    meaning: str


def table(name: str) -> Table:
    """Return the table of this name."""
    loaded: Table = importlib.import_module(f"{schemas.__name__}.{name}").TABLE
    return loaded


def of_path(path: Path) -> Table:
    """Return the table that a file in a study's folder is of, by its path.

    Raises:
        UnusableFileError: the path is no table's.
    """
    places = {place: name for name in names() for place in table(name).places}
    found = [place for place in places if place_of(path, [place])[0]]
    if not found:
        raise UnusableFileError(path, "does not lie where a table of a study lies")
    # A longer place says more: answers/{condition}/{block}-deciles.parquet is also of the form {block}.parquet.
    return table(places[max(found, key=len)])


def names() -> list[str]:
    """List the names of all tables."""
    return sorted(module.name for module in pkgutil.iter_modules(schemas.__path__) if module.name != "registry")


def of_blocks() -> list[str]:
    """List the tables that every condition has one file of for each block."""
    return [name for name in names() if table(name).axes == ["condition", "block"] and table(name).is_of_all]


def read(
    results: Path,
    names: Iterable[str],
    axes: Mapping[str, Mapping[str, Sequence[Any]]],
    indexed: Iterable[str] = (),
) -> dict[str, pd.DataFrame]:
    """Read tables by name.

    A table such as `conditions` lists all conditions of a study in one file. Beside other tables it is cut down to
    their conditions.

    Args:
        results: the study's folder, `results/{study}`.
        names: the tables' names.
        axes: for each table, the values of the names in its path.
        indexed: names of those tables that are checked against the study's indexes.

    Returns:
        Each table's rows by its name.

    Raises:
        UnusableFileError: a file is damaged, or is not the one that is asked for.
    """
    names = list(names)
    for name in {*names} & {*indexed}:
        index.verify(results, table(name), axes[name])
    frames = {name: tables.read_study(results, table(name), axes[name]) for name in names}
    conditions_of_tables = [along["condition"] for along in axes.values() if "condition" in along]
    shown = {condition for conditions in conditions_of_tables for condition in conditions}
    return {
        name: frame[frame["condition"].isin(shown)] if shown and _lists_conditions(table(name)) else frame
        for name, frame in frames.items()
    }


def _lists_conditions(of: Table) -> bool:
    """Return whether a table has several conditions in one file."""
    return "condition" in of.key and "condition" not in of.axes


def dictionary() -> list[Entry]:
    """List every column of every table, in order."""
    return [
        Entry(name, one.path, one.row, column, *words)
        for name, one in ((name, table(name)) for name in names())
        for column, words in one.described().items()
    ]
