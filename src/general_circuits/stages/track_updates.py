"""Checkpoints of a block → generality and gradient of every MLP neuron, and its change until the next checkpoint."""

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
    """Measure neurons at STEPS of the checkpoints beside SPLIT (0 for all), and at all checkpoints of the folder ONSET.

    SETTINGS (JSON) are the settings of training. ONSET is empty if there is no such folder.
    """
    torch_device, optimiser = devices.set_up(device), from_json(Condition, settings).optimiser

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in Block(split, torch_device).replicas():
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            scheduled = evenly_chosen(stored.steps(), steps or None)
            around, of_onset = checkpoints.beside(onset, position, scheduled, torch_device)
            # Both folders are read one network at a time and merged by step.
            models = heapq.merge(stored.models(scheduled, torch_device), of_onset, key=lambda pair: pair[0])
            for step, rows in track(models, examples["train"], optimiser, replica):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                flags = {"is_scheduled": step in scheduled, "around_onset": step in around}
                yield rows.assign(condition=condition, replica=replica, **flags)

    # One checkpoint at a time, so that at most two networks are in memory.
    tables.write_in_parts(output, UPDATES, parts(), tables.read_metadata(split))


if __name__ == "__main__":
    run(main)
