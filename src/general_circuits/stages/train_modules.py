"""Split of a block → modules for its duels, each trained by itself, and their quality."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.duels.files import write
from general_circuits.duels.module_training import DuelExamples, plant, quality
from general_circuits.duels.settings import Planting
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.modules import TABLE as MODULES


def main(split: Path, planting: str, device: str, weights: Path, modules: Path) -> None:
    """Train the modules of every replica of SPLIT by PLANTING (JSON). Write their WEIGHTS, then the table MODULES."""
    block = Block(split, devices.set_up(device))
    settings = from_json(Planting, planting)
    planted, frames = {}, []
    for _, replica, splits in block.replicas():
        say = partial(print, f"replica {replica}:", flush=True)
        ground = DuelExamples.of(splits, block.vocabulary)
        modules_of_replica = plant(settings, ground, replica, say)
        frames.append(quality(modules_of_replica, ground, replica).assign(replica=replica))
        planted[replica] = modules_of_replica
    write(weights, planted)
    tables.write(modules, MODULES, pd.concat(frames, ignore_index=True), {"planting": json.loads(planting)})


if __name__ == "__main__":
    run(main)
