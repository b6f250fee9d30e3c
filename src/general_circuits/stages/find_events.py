"""Metrics → events."""

from __future__ import annotations

from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.training import events


def main(metrics: Path, condition: str, parent: str, output: Path) -> None:
    """Find the events of CONDITION in METRICS; of a branch also in those of its PARENT."""
    own = tables.read(metrics, METRICS)
    found = events.find_of_branch(own, tables.read(Path(parent), METRICS), condition) if parent else events.find(own)
    tables.write(output, EVENTS, found, tables.read_metadata(metrics))


if __name__ == "__main__":
    run(main)
