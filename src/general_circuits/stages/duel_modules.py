"""Modules of a block → duels between them, and the effect of every update on each side."""

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
    """Carry out DUELS (JSON) between the modules in WEIGHTS, which PLANTING (JSON) made, on the examples of SPLIT."""
    block = Block(split, devices.set_up(device))
    planting_settings, duel_settings = from_json(Planting, planting), from_json(Duels, duels)
    frames = []
    for _, replica, splits in block.replicas():
        ground = DuelExamples.of(splits, block.vocabulary)
        modules = read(weights, planting_settings, ground, replica)
        for rule in duel_settings.rules:
            for stack in stacks(planted_duels(planting_settings, duel_settings, rule), ground, modules, replica):
                print(f"replica {replica}:", *stack, sep="\n  ", flush=True)
                frames.append(fight(stack, rule, duel_settings, ground, modules, replica).assign(replica=replica))
    metadata = {"planting": json.loads(planting), "duels": json.loads(duels)}
    tables.write(output, PLANTED, pd.concat(frames, ignore_index=True), metadata)


if __name__ == "__main__":
    run(main)
