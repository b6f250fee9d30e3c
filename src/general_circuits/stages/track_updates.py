"""Checkpoints of a block → generality and gradient of every MLP neuron, and its change until the next checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.measurements.updates.measure import track
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.moments import all_steps, steps_by_replica
from general_circuits.storage.schemas.updates import TABLE as UPDATES
from general_circuits.storage.shared_steps import shared, steps_of_block
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition


def main(split: Path, moments: str, condition: str, settings: str, steps: int, device: str, output: Path) -> None:
    """Measure neurons at STEPS of the checkpoints beside SPLIT (0 for all), and at all steps of the table MOMENTS.

    SETTINGS (JSON) are the settings of training. MOMENTS is empty if nothing is replayed.
    """
    torch_device, optimiser = devices.set_up(device), from_json(Condition, settings).optimiser
    block = Block(split, torch_device)
    replays = steps_by_replica(moments, block.seeds)

    def parts() -> Iterator[pd.DataFrame]:
        chosen = shared(steps_of_block(block), partial(evenly_chosen, how_many=steps or None))
        for position, replica, examples in block.replicas():
            stored, scheduled = checkpoints.stored(block, position), chosen[position]
            of_replica = replays.get(replica, {})
            around, replayed = of_replica.get(AROUND_ONSET, ()), sorted(all_steps(of_replica))
            networks = checkpoints.merged(
                stored, checkpoints.replayed(block, moments, position), scheduled, replayed, torch_device
            )
            for step, rows in track(networks, examples["train"], optimiser, replica):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                flags = {"is_scheduled": step in scheduled, "around_onset": step in around}
                yield rows.assign(condition=condition, replica=replica, **flags)

    # One checkpoint at a time, so that at most two networks are in memory.
    tables.write_in_parts(output, UPDATES, parts(), tables.inherited(split))


if __name__ == "__main__":
    run(main)
