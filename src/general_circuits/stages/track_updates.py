"""Checkpoints of a block → every MLP neuron's generality, gradient and what updates made of it until the next."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.measurements.updates.measure import track
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.updates import TABLE as UPDATES
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition


def main(split: Path, onset: str, condition: str, settings: str, steps: int, device: str, output: Path) -> None:
    """Read the weights beside SPLIT, which training by SETTINGS (JSON) left, and those in the folder ONSET,
    if any.

    Of the first STEPS checkpoints, evenly chosen (0 for all); of the others all.
    """
    torch_device, optimiser = devices.set_up(device), from_json(Condition, settings).optimiser

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in Block(split, torch_device).replicas():
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            wanted, around = evenly_chosen(stored.steps(), steps or None), []
            models = stored.models(wanted, torch_device)
            if onset:
                replayed = checkpoints.Checkpoints(Path(onset) / checkpoints.file_name(position))
                around = replayed.steps()
                # Both read one at a time, and put in one order; what is in both is equal.
                of_onset = replayed.models(sorted({*around} - {*wanted}), torch_device)
                models = heapq.merge(models, of_onset, key=lambda found: found[0])
            for step, found in track(models, examples["train"], optimiser, replica):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                flags = {"is_scheduled": step in wanted, "around_onset": step in around}
                yield found.assign(condition=condition, replica=replica, **flags)

    # Checkpoint by checkpoint, as they are read: no more than two are in memory.
    tables.write_in_parts(output, UPDATES, parts(), tables.read_metadata(split))


if __name__ == "__main__":
    run(main)
