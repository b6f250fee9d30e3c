"""Weights around spikes → change of the general circuit there, and of the examples that both circuits answer."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.measurements.progress import learned
from general_circuits.measurements.progress.shares import Shares, effects
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.spike_effects import TABLE as EFFECTS
from general_circuits.storage.schemas.spikes import TABLE as SPIKES
from general_circuits.training.settings import Condition


def main(split: Path, spikes: Path, weights: Path, condition: str, settings: str, device: str, output: Path) -> None:
    """Measure the windows of SPIKES with the folder WEIGHTS. The last weights beside SPLIT define what is general."""
    resolved, torch_device = from_json(Condition, settings), devices.set_up(device)
    block = Block(split, torch_device)
    table = tables.read(spikes, SPIKES, block.seeds)
    frames = []
    for position, replica, splits in block.replicas():
        of_replica = table[(table["replica"] == replica) & table["first_observation"].notna()]
        if of_replica.empty:
            continue
        trained = checkpoints.stored(block, position).backwards(torch_device)
        general = learned.general(resolved, splits, block.vocabulary, trained)
        stored = checkpoints.Checkpoints(weights / checkpoints.file_name(position), replica)
        observations = [Shares.of(model, general) for _, model in stored.models(stored.steps(), torch_device)]
        rows = []
        for row in of_replica.itertuples():
            start = int(row.first_observation)
            of_window = observations[start : start + int(row.observations)]
            rows.append({"spike": row.spike, "kind": row.kind, "step": row.step, **effects(of_window)})
        print(f"{condition}, replica {replica}: {len(rows)} windows", flush=True)
        frames.append(pd.DataFrame(rows).assign(condition=condition, replica=replica))
    tables.write(output, EFFECTS, tables.joined(EFFECTS, frames), tables.inherited(split))


if __name__ == "__main__":
    run(main)
