"""A task's settings → its table of examples."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pandas as pd

from general_circuits import tables
from general_circuits.conditions import Task, from_json
from general_circuits.schemas.task import TABLE as TASK
from general_circuits.stages.command import run
from general_circuits.tasks.table import NO_WRAP


def main(task: str, family: str, output: Path) -> None:
    """Write the examples of TASK (JSON), computed by the module FAMILY, to OUTPUT."""
    settings = from_json(Task, task)
    table = importlib.import_module(family).generate(settings)
    frame = pd.DataFrame({name: getattr(table, name) for name in ("a", "b", "target", "pair")})
    frame["wrap"] = pd.Series(table.wrap, dtype="Int32").mask(table.wrap == NO_WRAP)
    metadata = {"task": json.loads(task), "n_symbols": table.n_symbols, "n_classes": table.n_classes}
    tables.write(output, TASK, frame, metadata)


if __name__ == "__main__":
    run(main)
