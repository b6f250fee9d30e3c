"""Tables by name, for the DAG and for stages that are told which tables to read."""

from __future__ import annotations

import importlib
import pkgutil

from general_circuits import schemas
from general_circuits.tables import Table


def table(name: str) -> Table:
    """The table of this name."""
    found: Table = importlib.import_module(f"{schemas.__name__}.{name}").TABLE
    return found


def names() -> list[str]:
    """Every table's name."""
    return sorted(module.name for module in pkgutil.iter_modules(schemas.__path__) if module.name != "registry")
