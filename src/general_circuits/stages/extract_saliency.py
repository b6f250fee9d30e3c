"""Checkpoints of a block → the saliency statistics of every neuron, and how far each attribution is to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from general_circuits import checkpoints, compute, tables
from general_circuits.blocks import Block
from general_circuits.conditions import chosen, from_json
from general_circuits.saliency.measure import Questions, measure
from general_circuits.schemas.attribution import TABLE as ATTRIBUTION
from general_circuits.schemas.saliency import TABLE as SALIENCY
from general_circuits.stages.command import run


def main(split: Path, condition: str, asked: str, steps: int, device: str, output: Path, attribution: Path) -> None:
    """Read the weights beside SPLIT at STEPS checkpoints (0 is all) and measure what is ASKED (as JSON)."""
    torch_device, questions = compute.device(device), from_json(Questions, asked)
    layers: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in Block(split, torch_device).replicas():
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            for step, model in stored.models(chosen(stored.steps(), steps or None), torch_device):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                names = {"condition": condition, "replica": replica, "step": step}
                neurons, of_layers = (found.assign(**names) for found in measure(model, examples, questions, replica))
                layers.append(of_layers)
                yield neurons.sort_values(list(SALIENCY.key))

    # Checkpoint by checkpoint: tables of many would keep what each had in memory from being given back.
    metadata = tables.read_metadata(split)
    tables.write_in_parts(output, SALIENCY, parts(), metadata)
    tables.write(attribution, ATTRIBUTION, pd.concat(layers, ignore_index=True), metadata)


if __name__ == "__main__":
    run(main)
