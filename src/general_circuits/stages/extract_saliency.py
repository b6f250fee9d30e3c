"""Checkpoints of a block → the saliency statistics of every MLP unit, layer, method and split."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pandas as pd

from general_circuits import checkpoints, compute, saliency, tables
from general_circuits.blocks import Block
from general_circuits.schemas.saliency import TABLE as SALIENCY
from general_circuits.stages.command import run


def main(
    split: Path, condition: str, methods: str, integration_steps: int, steps: int, device: str, output: Path
) -> None:
    """Read the weights beside SPLIT at STEPS checkpoints (0 is all) and attribute with METHODS (comma-separated)."""
    torch_device = compute.device(device)
    wanted = cast(list[saliency.Method], methods.split(","))
    frames = []
    for position, replica, examples in Block(split, torch_device).replicas():
        stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
        for step, model in stored.models(checkpoints.chosen(stored.steps(), steps or None), torch_device):
            print(f"{condition}, replica {replica}: step {step:,}", flush=True)
            found = saliency.measure(model, examples, wanted, integration_steps)
            frames.append(found.assign(condition=condition, replica=replica, step=step))
    tables.write(output, SALIENCY, pd.concat(frames, ignore_index=True), tables.read_metadata(split))


if __name__ == "__main__":
    run(main)
