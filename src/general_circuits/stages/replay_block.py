"""Steps of a finished block, trained again from the nearest states → metrics and checkpoints at closer steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.stages.interruption import room_for
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import State, States, folder_of
from general_circuits.training import loop
from general_circuits.training.replay import Nearest, replay
from general_circuits.training.settings import Condition


@dataclass(frozen=True)
class Replay:
    """Arguments of one job.

    Attributes:
        split: examples of the block, replica by replica.
        condition: name of the condition.
        settings: settings of the condition, as JSON.
        finished: metrics of the finished run. A replica that diverged before `first` stays flagged.
        device: "cpu" or "cuda".
        training_code: fingerprint of the code that trained the block.
        states: folder of the block's training states. A replica without states is trained from its seed.
        first, last: steps to replay, both included.
        checkpoints_every, metrics_every: distance of the steps that are kept. `first` and `last` are always kept.
        metrics: the table to write; weights are written beside it.
    """

    split: Path
    condition: str
    settings: str
    finished: Path
    device: str
    training_code: str
    states: Path
    first: int
    last: int
    checkpoints_every: int
    metrics_every: int
    metrics: Path

    def check(self, trained: int) -> None:
        """End the process with a message if the run of `trained` steps lacks these steps."""
        if not 0 <= self.first <= self.last <= trained:
            raise SystemExit(
                f"steps {self.first} to {self.last}: should be within the {trained} steps of {self.condition}"
            )
        every = min(self.checkpoints_every, self.metrics_every)
        if every < 1:
            raise SystemExit(f"one step in {every}: should be one in 1 or more")

    @property
    def observed(self) -> loop.Observed:
        """Steps to observe."""
        return loop.Observed.between(self.first, self.last, self.checkpoints_every, self.metrics_every)


def main(job: Replay) -> None:
    """Replay steps of every replica of a block, to equal bytes."""
    condition = from_json(Condition, job.settings)
    job.check(condition.schedule.steps)
    block = Block(job.split, devices.set_up(job.device))
    finished = tables.read(job.finished, METRICS, block.seeds)
    frames: list[pd.DataFrame] = []
    with room_for(job.condition):
        for position, replica, examples in block.replicas():
            say = partial(print, f"{job.condition}, replica {replica}:", flush=True)
            of_replica = finished[finished["replica"] == replica]
            also = condition.schedule.end_key(of_replica["step"].max())
            folder = folder_of(job.states, position, job.training_code, job.settings, job.device, job.split, also)
            # One state is read. From the first step on, each step is the next one's beginning.
            state = States(folder, say).nearest(job.first - 1)
            say(f"replays from {f'the state at step {state.step:,}' if state else 'its seed'}")
            run = replay(condition, examples, block.vocabulary, replica, job.observed, _always(state))
            path = job.metrics.parent / checkpoints.file_name(position)
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            before = of_replica[of_replica["step"] < job.first]
            diverged = run.metrics["diverged"] | before["diverged"].any()
            frames.append(run.metrics.assign(condition=job.condition, replica=replica, diverged=diverged))
        metadata = {"condition": json.loads(job.settings), "replicas": block.seeds}
        tables.write(job.metrics, METRICS, tables.joined(METRICS, frames), metadata)


def _always(state: State | None) -> Nearest:
    """Return the function that returns this state, whatever the step."""
    return lambda limit: state


if __name__ == "__main__":
    run(main)
