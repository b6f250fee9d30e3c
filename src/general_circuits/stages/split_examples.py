"""A task's table → which examples train in each replica of a block, and with which labels."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from general_circuits import splits, tables
from general_circuits.conditions import Split, from_json
from general_circuits.schemas.split import TABLE as SPLIT
from general_circuits.schemas.task import TABLE as TASK
from general_circuits.stages.command import run


def main(task: Path, split: str, condition: str, first_replica: int, replicas: int, output: Path) -> None:
    """Split the examples of TASK as SPLIT (JSON) says, for REPLICAS seeds from FIRST_REPLICA on."""
    settings = from_json(Split, split)
    examples = tables.read(task, TASK)
    pair, target = examples["pair"].to_numpy(), examples["target"].to_numpy()
    n_classes = tables.read_metadata(task)["n_classes"]
    frames = [
        splits.draw(pair, target, n_classes, settings, replica).assign(condition=condition, replica=replica)
        for replica in range(first_replica, first_replica + replicas)
    ]
    tables.write(output, SPLIT, pd.concat(frames, ignore_index=True), {"split": json.loads(split)})


if __name__ == "__main__":
    run(main)
