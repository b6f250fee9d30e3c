"""The table `moments` as stages read it: the replayed steps of each replica."""

from __future__ import annotations

from pathlib import Path

from general_circuits.storage import tables
from general_circuits.storage.schemas.moments import TABLE


def steps_by_replica(path: Path) -> dict[int, dict[str, list[int]]]:
    """Read the steps of every moment, by replica and moment; the weights at all of them lie beside the table."""
    steps: dict[int, dict[str, list[int]]] = {}
    for row in tables.read(path, TABLE).itertuples():
        steps.setdefault(int(row.replica), {}).setdefault(str(row.moment), []).append(int(row.step))
    return steps
