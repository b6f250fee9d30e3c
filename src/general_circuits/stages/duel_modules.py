"""A block's modules → duels between them, and what every update does to each side."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.duels.files import read
from general_circuits.duels.module_training import DuelExamples
from general_circuits.duels.planted_grid import planted_duels
from general_circuits.duels.planted_training import fight, stacks
from general_circuits.duels.settings import Duels, Planting
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.planted import TABLE as PLANTED


def main(split: Path, weights: Path, planting: str, duels: str, device: str, output: Path) -> None:
    """Let the modules in WEIGHTS fight for the training examples of SPLIT, in every duel of DUELS (JSON)."""
    block = Block(split, devices.set_up(device))
    how, varied = from_json(Planting, planting), from_json(Duels, duels)
    frames = []
    for _, replica, splits in block.replicas():
        ground = DuelExamples.of(splits, block.vocabulary)
        modules = read(weights, how, ground, replica)
        for rule in varied.rules:
            for stack in stacks(planted_duels(how, varied, rule), ground, modules, replica):
                print(f"replica {replica}:", *stack, sep="\n  ", flush=True)
                frames.append(fight(stack, rule, varied, ground, modules, replica).assign(replica=replica))
    metadata = {"planting": json.loads(planting), "duels": json.loads(duels)}
    tables.write(output, PLANTED, pd.concat(frames, ignore_index=True), metadata)


if __name__ == "__main__":
    run(main)
