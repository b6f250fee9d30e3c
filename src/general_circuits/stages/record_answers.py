"""Checkpoints of a block → answer to every example, and the gradient of training, by sureness."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from general_circuits import devices
from general_circuits.measurements import answers
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.answers import TABLE as ANSWERS
from general_circuits.storage.schemas.deciles import TABLE as DECILES
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition


def main(split: Path, condition: str, settings: str, steps: int, device: str, output: Path) -> None:
    """Answer all examples with the weights beside SPLIT, at STEPS checkpoints (0 for all).

    SETTINGS (JSON) are the settings of training. OUTPUT is the table `answers`; `deciles` is written beside it.
    """
    torch_device, optimiser = devices.set_up(device), from_json(Condition, settings).optimiser
    precision = torch.float64 if optimiser.loss_precision == "float64" else torch.float32
    block = Block(split, torch_device)
    frames: list[pd.DataFrame] = []
    decile_frames: list[pd.DataFrame] = []
    for position, replica, splits in block.replicas():
        stored = checkpoints.stored(block, position)
        for step, model in stored.models(evenly_chosen(stored.steps(), steps or None), torch_device):
            print(f"{condition}, replica {replica}: step {step:,}", flush=True)
            names = {"condition": condition, "replica": replica, "step": step}
            frames.append(answers.answers(model, splits).assign(**names))
            decile_frames.append(answers.deciles(model, splits, precision).assign(**names))
    metadata = tables.inherited(split)
    tables.write(output, ANSWERS, tables.joined(ANSWERS, frames), metadata)
    beside = output.with_name(f"{output.stem}-deciles.parquet")
    tables.write(beside, DECILES, tables.joined(DECILES, decile_frames), metadata)


if __name__ == "__main__":
    run(main)
