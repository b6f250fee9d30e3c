"""A finished block, trained once more → both losses at every step; its spikes, and weights around them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.windows import steps_of_events
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.stages.interruption import room_for
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.losses import TABLE as LOSSES
from general_circuits.storage.schemas.spikes import TABLE as SPIKES
from general_circuits.storage.training_states import States, folder_of
from general_circuits.training import spike_replay, spikes
from general_circuits.training.settings import Condition


def main(
    split: Path,
    events: Path,
    condition: str,
    settings: str,
    device: str,
    training_code: str,
    states: Path,
    threshold: float,
    most: int,
    output: Path,
) -> None:
    """Replay every replica of SPLIT from t_m of EVENTS on, from STATES that TRAINING_CODE left or else the seed.

    A spike is a training loss above THRESHOLD times the median of the 50 steps before; of each replica at most MOST are
    looked into. OUTPUT is the table `spikes`; `losses` lies beside it, and weights in a folder of its name.
    """
    resolved, torch_device = from_json(Condition, settings), devices.set_up(device)
    memorised = steps_of_events(tables.read(events, EVENTS), condition)["memorised"]
    block = Block(split, torch_device)
    frames: list[pd.DataFrame] = []
    records: list[pd.DataFrame] = []
    with room_for(condition):
        for position, replica, splits in block.replicas():
            say = partial(print, f"{condition}, replica {replica}:", flush=True)
            kept = States(folder_of(states, position, training_code, settings, device, split), say)
            trained = spike_replay.Trained(resolved, splits, block.vocabulary, replica, kept.nearest)
            seen: list[spike_replay.Window] = []
            if memorised.isna()[replica]:
                say("never memorised: it has no spikes after that")
            else:
                first = int(memorised[replica])
                losses = trained.losses(first)
                found = spikes.find(losses["training"], threshold)
                say(f"{len(found)} spikes from step {first:,} on")
                seen = spike_replay.windows(trained, found, first, most)
                rows = pd.concat([spike_replay.rows(seen), spikes.listed(found, losses)])
                names = {"condition": condition, "replica": replica}
                frames.append(rows.drop_duplicates(["spike", "kind", "step"]).assign(**names))
                records.append(losses.reset_index().assign(**names))
            model = trained.begun().model
            weights = spike_replay.weights(seen, model.state_dict())
            path = output.parent / output.stem / checkpoints.file_name(position)
            checkpoints.write(path, replica, weights, range(sum(len(window.observations) for window in seen)), model)
        metadata = tables.read_metadata(split)
        beside = output.with_name(f"{output.stem}-losses.parquet")
        tables.write(beside, LOSSES, tables.joined(LOSSES, records), metadata)
        tables.write(output, SPIKES, tables.joined(SPIKES, frames), metadata)


if __name__ == "__main__":
    run(main)
