"""Replays of trained replicas to some steps: the table `moments` and weights, from runs that kept these steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from general_circuits.storage import checkpoints, tables
from general_circuits.storage.schemas.moments import TABLE as MOMENTS
from general_circuits.training.loop import Run


def write_weights(folder: Path, runs: Mapping[int, Run], steps: Sequence[int]) -> None:
    """Write the weights of a block at these steps, from its runs by replica."""
    for position, (replica, run) in enumerate(runs.items()):
        _write(folder / checkpoints.file_name(position), replica, run, steps)


def write_moments(
    path: Path, runs: Mapping[int, Run], steps: Mapping[int, Mapping[str, Sequence[int]]], name: str = "tiny"
) -> Path:
    """Write the table `moments` of a block and the weights beside it, and return the table's path.

    Args:
        path: the table.
        runs: by replica, runs that observed all of these steps.
        steps: by replica and moment.
        name: name of the condition.
    """
    rows = []
    for position, (replica, run) in enumerate(runs.items()):
        accuracy = run.metrics.pivot(index="step", columns="split", values="accuracy")
        moments = steps.get(replica, {})
        rows += [
            (name, replica, moment, step, False, accuracy.loc[step, "train"], accuracy.loc[step, "validation"])
            for moment, some in moments.items()
            for step in some
        ]
        kept = sorted({step for some in moments.values() for step in some})
        _write(path.with_suffix("") / checkpoints.file_name(position), replica, run, kept)
    columns = [*MOMENTS.key, "is_cut", "train_accuracy", "validation_accuracy"]
    tables.write(path, MOMENTS, pd.DataFrame(rows, columns=columns), {"replicas": list(runs)})
    return path


def _write(path: Path, replica: int, run: Run, steps: Sequence[int]) -> None:
    places = [run.steps.index(step) for step in steps]
    checkpoints.write(path, replica, {name: weight[places] for name, weight in run.weights.items()}, steps, run.model)
