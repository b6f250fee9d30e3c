"""Finished block, trained a second time → both losses at every step, its spikes, and weights around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.plateau import plateau
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


@dataclass(frozen=True)
class Watch:
    """Arguments of one job.

    Attributes:
        split: examples of the block, replica by replica.
        events: table of the block's events. Each replica is watched from t_m to 1.5 t_g. Its weights are
            kept around spikes on its plateau.
        condition: name of the condition.
        settings: settings of the condition, as JSON.
        device: "cpu" or "cuda".
        training_code: fingerprint of the code that trained the block.
        states: folder of the block's training states. A replica without states is trained from its seed.
        threshold: number of times the median of the 50 steps before. A training loss above this is a spike.
        most: largest number of spikes per replica whose weights are kept.
        output: the table `spikes`. `losses` is written beside it, and weights in a folder of its name.
    """

    split: Path
    events: Path
    condition: str
    settings: str
    device: str
    training_code: str
    states: Path
    threshold: float
    most: int
    output: Path


def main(job: Watch) -> None:
    """Replay every replica of a block after it memorised; keep losses at every step and weights around spikes."""
    condition, device = from_json(Condition, job.settings), devices.set_up(job.device)
    block = Block(job.split, device)
    events = steps_of_events(tables.read(job.events, EVENTS, block.seeds), job.condition)
    frames: list[pd.DataFrame] = []
    records: list[pd.DataFrame] = []
    with room_for(job.condition):
        for position, replica, splits in block.replicas():
            say = partial(print, f"{job.condition}, replica {replica}:", flush=True)
            folder = folder_of(job.states, position, job.training_code, job.settings, job.device, job.split)
            states = States(folder, say)
            memorised, generalised = events.loc[replica, ["memorised", "generalised"]]
            trained = condition.schedule.steps
            # Nothing is read after the late window.
            last = trained if pd.isna(generalised) else min(trained, int(1.5 * generalised))
            finished = spike_replay.FinishedReplica(condition, splits, block.vocabulary, replica, states.nearest, last)
            windows: list[spike_replay.Window] = []
            if pd.isna(memorised):
                say("never memorised: there is nothing to watch")
            else:
                first = int(memorised)
                losses = finished.losses(first)
                all_spikes = spikes.find(losses["training"], job.threshold)
                found = plateau(losses["validation"], memorised, generalised)
                on_plateau = found.steps if found else range(0)
                number = sum(spike.peak in on_plateau for spike in all_spikes)
                say(f"{len(all_spikes)} spikes from step {first:,} on, {number} of them on the plateau")
                windows = spike_replay.windows(finished, all_spikes, first, on_plateau, job.most)
                rows = pd.concat([spike_replay.rows(windows), spikes.listed(all_spikes, losses)])
                rows["is_on_plateau"] = rows["spike"].isin(on_plateau)
                # Spikes that were looked into have a fuller row already: the first of two equal keys stays.
                names = {"condition": job.condition, "replica": replica}
                frames.append(rows.drop_duplicates(["spike", "kind", "step"]).assign(**names))
                records.append(losses.reset_index().assign(**names))
            model = finished.at_start().model
            weights = spike_replay.weights(windows, model.state_dict())
            path = job.output.parent / job.output.stem / checkpoints.file_name(position)
            observations = sum(len(window.observations) for window in windows)
            checkpoints.write(path, replica, weights, range(observations), model)
        metadata = tables.inherited(job.split)
        beside = job.output.with_name(f"{job.output.stem}-losses.parquet")
        tables.write(beside, LOSSES, tables.joined(LOSSES, records), metadata)
        tables.write(job.output, SPIKES, tables.joined(SPIKES, frames), metadata)


if __name__ == "__main__":
    run(main)
