"""Checkpoints of a block → the saliency statistics of every neuron, and how far each attribution is to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.windows import steps_of_events, steps_read
from general_circuits.measurements.saliency.measure import Questions, measure
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.attribution import TABLE as ATTRIBUTION
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.training.schedule import evenly_chosen


def main(
    split: Path, condition: str, questions: str, steps: int, events: str, device: str, output: Path, attribution: Path
) -> None:
    """Read the weights beside SPLIT and measure what QUESTIONS (JSON) ask.

    At STEPS checkpoints, 0 for all; with an EVENTS table, at those of them that a claim reads around its events.
    """
    torch_device, asked = devices.set_up(device), from_json(Questions, questions)
    claimed = _by_replica(Path(events)) if events else None
    layers: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in Block(split, torch_device).replicas():
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            wanted = evenly_chosen(stored.steps(), steps or None)
            if claimed is not None:
                wanted = steps_read(wanted, claimed.loc[replica])
            for step, model in stored.models(wanted, torch_device):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                names = {"condition": condition, "replica": replica, "step": step}
                neurons, of_layers = (found.assign(**names) for found in measure(model, examples, asked, replica))
                layers.append(of_layers)
                yield neurons.sort_values(list(SALIENCY.key))

    # Checkpoint by checkpoint: tables of many would keep what each had in memory from being given back.
    metadata = tables.read_metadata(split)
    tables.write_in_parts(output, SALIENCY, parts(), metadata)
    tables.write(attribution, ATTRIBUTION, tables.joined(ATTRIBUTION, layers), metadata)


def _by_replica(path: Path) -> pd.DataFrame:
    events = tables.read(path, EVENTS)
    return steps_of_events(events, events["condition"].iloc[0])


if __name__ == "__main__":
    run(main)
