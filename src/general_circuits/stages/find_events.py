"""Metrics → events."""

from __future__ import annotations

from pathlib import Path

from general_circuits import events, tables
from general_circuits.schemas.events import TABLE as EVENTS
from general_circuits.schemas.metrics import TABLE as METRICS
from general_circuits.stages.command import run


def main(metrics: Path, output: Path) -> None:
    """Find the events in METRICS."""
    metadata = tables.read_metadata(metrics)
    tables.write(output, EVENTS, events.find(tables.read(metrics, METRICS)), metadata)


if __name__ == "__main__":
    run(main)
