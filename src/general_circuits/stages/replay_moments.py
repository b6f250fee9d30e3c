"""A finished block, trained again to the moments that claims read → checkpoints there, and the table `moments`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from general_circuits import devices
from general_circuits.analysis.moments import AROUND_ONSET, moments
from general_circuits.analysis.windows import steps_of_events
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.stages.interruption import room_for
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.moments import TABLE as MOMENTS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.training import loop
from general_circuits.training.replay import replay
from general_circuits.training.settings import Condition


@dataclass(frozen=True)
class Moments:
    """Arguments of one job.

    Attributes:
        split: examples of the block, replica by replica.
        condition: name of the condition.
        settings: settings of the condition, as JSON.
        device: "cpu" or "cuda".
        training_code: fingerprint of the code that trained the block.
        states: folder of the block's training states. A replica without states is trained from its seed.
        events: table of the block's events.
        partner: table of the events of the same block of grokking; of the block itself without such a condition.
        before, after, every: evenly spaced steps around each replica's onset are kept too, from so many steps before it
            to so many after.
        output: the table to write. Weights are written into a folder of the same name, without its ending.
    """

    split: Path
    condition: str
    settings: str
    device: str
    training_code: str
    states: Path
    events: Path
    partner: Path
    before: int
    after: int
    every: int
    output: Path


def main(job: Moments) -> None:
    """Replay every replica of a block to its moments, to the bytes of the run."""
    condition = from_json(Condition, job.settings)
    block = Block(job.split, devices.set_up(job.device))
    own, partner = _steps(job.events, block.seeds), _steps(job.partner, block.seeds)
    frames: list[pd.DataFrame] = []
    with room_for(job.condition):
        for position, replica, examples in block.replicas():
            say = partial(print, f"{job.condition}, replica {replica}:", flush=True)
            # Training may have ended before its schedule, at its partner's late window.
            name = checkpoints.file_name(position)
            last = max(checkpoints.stored(block, position).steps(), default=0)
            around = _around(own.loc[replica, "onset"], job, last)
            rows = pd.concat([moments(own.loc[replica], partner.loc[replica], last), around], ignore_index=True)
            steps = frozenset(rows["step"]) if len(rows) else frozenset()
            also = condition.schedule.end_key(last)
            folder = folder_of(job.states, position, job.training_code, job.settings, job.device, job.split, also)
            observed = loop.Observed(max(steps, default=0), steps, steps)
            say(f"replays {len(steps)} steps")
            trained = replay(condition, examples, block.vocabulary, replica, observed, States(folder, say).nearest)
            path = job.output.with_suffix("") / name
            checkpoints.write(path, replica, trained.weights, trained.steps, trained.model)
            if len(rows):
                frames.append(_measured(rows, trained.metrics).assign(condition=job.condition, replica=replica))
        tables.write(job.output, MOMENTS, tables.joined(MOMENTS, frames), tables.inherited(job.split))


def _steps(events: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """Read the steps of events: a row per replica, a column per event."""
    rows = tables.read(events, EVENTS, seeds)
    return steps_of_events(rows, rows["condition"].iloc[0])


def _around(onset: float, job: Moments, last: int) -> pd.DataFrame:
    """Return the steps around an onset, at the same distances from it in every replica, as far as training reaches."""
    if not np.isfinite(onset):
        return pd.DataFrame()
    steps = [
        step for step in range(int(onset) - job.before, int(onset) + job.after + 1, job.every) if 0 <= step <= last
    ]
    return pd.DataFrame({"moment": AROUND_ONSET, "step": steps, "is_cut": False})


def _measured(rows: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Add the accuracies at each step to rows of moments."""
    accuracy = metrics.pivot(index="step", columns="split", values="accuracy").reindex(rows["step"])
    columns = {f"{split}_accuracy": accuracy[split].to_numpy(dtype=float) for split in ("train", "validation")}
    return rows.assign(**columns)


if __name__ == "__main__":
    run(main)
