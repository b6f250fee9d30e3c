"""Checkpoints and saliencies of a block → what deleting neurons costs, by ranking, number and draw."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from general_circuits import ablation, checkpoints, compute, tables
from general_circuits.blocks import Block
from general_circuits.examples import Examples
from general_circuits.randomness import stream_seed
from general_circuits.schemas.ablation import TABLE as ABLATION
from general_circuits.schemas.saliency import TABLE as SALIENCY
from general_circuits.stages.command import run


def main(
    split: Path,
    saliency: Path,
    condition: str,
    method: str,
    deletions: str,
    splits: str,
    k_points: int,
    random_draws: int,
    examples: int,
    steps: int,
    device: str,
    output: Path,
) -> None:
    """Rank by the mean |saliency| of METHOD on training examples; delete on EXAMPLES of SPLITS each at STEPS steps."""
    torch_device = compute.device(device)
    salience = tables.read(saliency, SALIENCY)
    salience = salience[(salience["method"] == method) & (salience["split"] == "train")]
    frames = []
    for position, replica, everything in Block(split, torch_device).replicas():
        data = {name: _some(everything[name], examples, replica) for name in splits.split(",")}
        of_replica = salience[salience["replica"] == replica]
        stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
        wanted = checkpoints.chosen(sorted(of_replica["step"].unique()), steps or None)
        for step, model in stored.models(wanted, torch_device):
            print(f"{condition}, replica {replica}: step {step:,}", flush=True)
            here = of_replica[of_replica["step"] == step].sort_values(["layer", "neuron"])
            by_layer = {layer: units["mean_magnitude"].to_numpy() for layer, units in here.groupby("layer")}
            found = ablation.measure(model, data, by_layer, deletions.split(","), k_points, random_draws, replica)
            frames.append(found.assign(condition=condition, replica=replica, step=step))
    tables.write(output, ABLATION, pd.concat(frames, ignore_index=True), tables.read_metadata(saliency))


def _some(part: Examples, n: int, replica: int) -> Examples:
    """The same n examples at every step of a replica."""
    generator = torch.Generator().manual_seed(stream_seed(replica, "ablation"))
    return part.first(n, torch.randperm(len(part.labels), generator=generator))


if __name__ == "__main__":
    run(main)
