"""One checkpoint of a block → saliency of every neuron on every example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from general_circuits import devices
from general_circuits.measurements.saliency.measure import Questions, by_example
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.example_saliency import TABLE


def main(split: Path, condition: str, step: int, questions: str, device: str, output: Path) -> None:
    """Measure the saliency that QUESTIONS (JSON) describe, of the weights beside SPLIT at one STEP."""
    torch_device, settings = devices.set_up(device), from_json(Questions, questions)
    block = Block(split, torch_device)

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in block.replicas():
            stored = checkpoints.stored(block, position)
            if step not in stored.steps():
                raise SystemExit(f"step={step}: {condition} has no such checkpoint; it has {stored.steps()}")
            for _, model in stored.models([step], torch_device):
                for names, numbers, saliency in by_example(model, examples, settings, replica):
                    labelled = {"condition": condition, **names}
                    constant = {name: _constant(value, saliency.numel()) for name, value in labelled.items()}
                    # saliency: (example, neuron), flattened to one row for each example and neuron
                    rows = {
                        "replica": replica,
                        "example": np.repeat(numbers.cpu().numpy(), saliency.shape[1]),
                        "neuron": np.tile(np.arange(saliency.shape[1]), len(numbers)),
                        "saliency": saliency.flatten().cpu().numpy(),
                    }
                    yield pd.DataFrame({**constant, **rows})

    tables.write_in_parts(output, TABLE, parts(), tables.inherited(split))


def _constant(value: object, n: int) -> object:
    """Return a column of one value. Text becomes a category, so that it is stored once."""
    return pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), [value]) if isinstance(value, str) else value


if __name__ == "__main__":
    run(main)
