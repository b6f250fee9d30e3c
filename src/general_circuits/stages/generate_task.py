"""Settings of a task → table of its examples."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path

from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.task import TABLE as TASK
from general_circuits.tasks.settings import AnyTask, Task, family_module


def main(task: str, output: Path) -> None:
    """Write all examples of TASK (JSON) to OUTPUT."""
    settings: Task = from_json(AnyTask, task)
    table = importlib.import_module(family_module(settings.family)).generate(settings)
    metadata = {
        "task": json.loads(task),
        "vocabulary": dataclasses.asdict(table.vocabulary),
        "is_commutative": table.is_commutative,
    }
    tables.write(output, TASK, table.frame(), metadata)


if __name__ == "__main__":
    run(main)
