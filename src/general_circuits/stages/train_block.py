"""One condition and a block of replicas → their metrics and all their checkpoints."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import checkpoints, compute, tables, training
from general_circuits.conditions import Condition, from_json
from general_circuits.examples import by_split
from general_circuits.schemas.metrics import TABLE as METRICS
from general_circuits.schemas.split import TABLE as SPLIT
from general_circuits.schemas.task import TABLE as TASK
from general_circuits.stages.command import run


def main(task: Path, split: Path, condition: str, settings: str, device: str, metrics: Path) -> None:
    """Train every replica of SPLIT under SETTINGS (JSON); METRICS is written last, weights beside it."""
    resolved = from_json(Condition, settings)
    torch_device = compute.device(device)
    examples, splits = tables.read(task, TASK), tables.read(split, SPLIT)
    vocabulary = tables.read_metadata(task)
    frames = []
    for position, (replica, rows) in enumerate(splits.groupby("replica")):
        run = training.train(
            resolved,
            by_split(examples, rows, vocabulary["n_symbols"], torch_device),
            vocabulary["n_symbols"],
            vocabulary["n_classes"],
            replica,
            report=partial(print, f"{condition}, replica {replica}:", flush=True),
        )
        path = metrics.parent / checkpoints.file_name(position)
        checkpoints.write(path, replica, run.weights, run.steps, run.model)
        frames.append(run.metrics.assign(condition=condition, replica=replica))
    tables.write(metrics, METRICS, pd.concat(frames, ignore_index=True), {"condition": json.loads(settings)})


if __name__ == "__main__":
    run(main)
