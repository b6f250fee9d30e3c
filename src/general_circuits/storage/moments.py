"""The table `moments` as stages read it: the replayed steps of each replica."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from general_circuits.storage import tables
from general_circuits.storage.schemas.moments import TABLE


def steps_by_replica(path: Path | str, seeds: Sequence[int] | None = None) -> dict[int, dict[str, list[int]]]:
    """Read the steps of every moment, by replica and moment; the weights at all of them lie beside the table.

    An empty path stands for a block that is not replayed. It has no steps.
    """
    steps: dict[int, dict[str, list[int]]] = {}
    if not path:
        return steps
    for row in tables.read(Path(path), TABLE, seeds).itertuples():
        steps.setdefault(int(row.replica), {}).setdefault(str(row.moment), []).append(int(row.step))
    return steps


def all_steps(of_replica: Mapping[str, Iterable[int]]) -> set[int]:
    """Return the steps of one replica, whatever their moments."""
    return {step for steps in of_replica.values() for step in steps}
