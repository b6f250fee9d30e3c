"""Table of a task → examples of each replica of a block, with their split and labels."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.split import TABLE as SPLIT
from general_circuits.storage.schemas.task import TABLE as TASK
from general_circuits.storage.tables import INPUTS
from general_circuits.tasks import splits
from general_circuits.tasks.settings import Split


def main(task: Path, split: str, condition: str, first_seed: int, block: int, replicas: int, output: Path) -> None:
    """Split the examples of TASK by SPLIT (JSON), for a BLOCK of REPLICAS. The seeds of block 0 begin at FIRST_SEED."""
    settings = from_json(Split, split)
    examples = tables.read(task, TASK)
    pair, target = examples["pair"].to_numpy(), examples["target"].to_numpy()
    metadata = tables.inherited(task)
    n_classes = metadata["vocabulary"]["n_classes"]
    first_replica = first_seed + block * replicas
    frames = [
        examples[[*INPUTS, "wrap"]]
        .join(splits.draw(pair, target, n_classes, settings, replica))
        .assign(condition=condition, replica=replica)
        for replica in range(first_replica, first_replica + replicas)
    ]
    tables.write(output, SPLIT, pd.concat(frames, ignore_index=True), {**metadata, "split": json.loads(split)})


if __name__ == "__main__":
    run(main)
