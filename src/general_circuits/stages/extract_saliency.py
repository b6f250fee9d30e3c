"""Checkpoints of a block → saliency statistics of every neuron, and the error of each attribution."""

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
    """Measure the saliency that QUESTIONS (JSON) describe, of the weights beside SPLIT.

    STEPS is the number of checkpoints, 0 for all. With a table EVENTS, only checkpoints around events are measured:
    those that claims read.
    """
    torch_device, settings = devices.set_up(device), from_json(Questions, questions)
    event_steps = _by_replica(Path(events)) if events else None
    layers: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in Block(split, torch_device).replicas():
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            wanted = evenly_chosen(stored.steps(), steps or None)
            if event_steps is not None:
                wanted = steps_read(wanted, event_steps.loc[replica])
            for step, model in stored.models(wanted, torch_device):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                names = {"condition": condition, "replica": replica, "step": step}
                neurons, of_layers = (rows.assign(**names) for rows in measure(model, examples, settings, replica))
                layers.append(of_layers)
                yield neurons.sort_values(list(SALIENCY.key))

    # One checkpoint at a time: small tables of many checkpoints would keep the allocator from returning their memory.
    metadata = tables.read_metadata(split)
    tables.write_in_parts(output, SALIENCY, parts(), metadata)
    tables.write(attribution, ATTRIBUTION, tables.joined(ATTRIBUTION, layers), metadata)


def _by_replica(path: Path) -> pd.DataFrame:
    """Return the steps of events, one row per replica and one column per event."""
    events = tables.read(path, EVENTS)
    return steps_of_events(events, events["condition"].iloc[0])


if __name__ == "__main__":
    run(main)
