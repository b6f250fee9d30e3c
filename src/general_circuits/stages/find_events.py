"""Metrics of a block → its events."""

from __future__ import annotations

from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.training import events


def main(metrics: Path, condition: str, parent: str, output: Path) -> None:
    """Find the events of CONDITION in METRICS. For a branch, PARENT is the table of its parent's metrics."""
    rows, metadata = tables.read(metrics, METRICS), tables.inherited(metrics)
    if parent:
        of_parent = tables.read(Path(parent), METRICS, metadata["replicas"])
        event_rows = events.find_of_branch(rows, of_parent, condition)
    else:
        event_rows = events.find(rows)
    tables.write(output, EVENTS, event_rows, metadata)


if __name__ == "__main__":
    run(main)
