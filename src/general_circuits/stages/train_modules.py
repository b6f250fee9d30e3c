"""A block's split → the modules of its duels, each trained apart, and how well they know what they are to know."""

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
    """Train the modules of every replica of SPLIT as PLANTING (JSON) says; MODULES is written last."""
    block = Block(split, devices.set_up(device))
    how = from_json(Planting, planting)
    planted, frames = {}, []
    for _, replica, splits in block.replicas():
        say = partial(print, f"replica {replica}:", flush=True)
        ground = DuelExamples.of(splits, block.vocabulary)
        found = plant(how, ground, replica, say)
        frames.append(quality(found, ground, replica).assign(replica=replica))
        planted[replica] = found
    write(weights, planted)
    tables.write(modules, MODULES, pd.concat(frames, ignore_index=True), {"planting": json.loads(planting)})


if __name__ == "__main__":
    run(main)
