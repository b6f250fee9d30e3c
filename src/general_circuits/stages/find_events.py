"""Metrics → events."""

from __future__ import annotations

from pathlib import Path

from general_circuits import events, tables
from general_circuits.stages.command import run


def main(metrics: Path, output: Path) -> None:
    """Find the events in METRICS."""
    metadata = tables.read_metadata(metrics)
    tables.write(output, "events", events.find(tables.read(metrics, "metrics")), metadata)


if __name__ == "__main__":
    run(main)
