"""Steps of a finished block, trained again from the nearest states → metrics and checkpoints at closer steps."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.training import loop
from general_circuits.training.replay import replay
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
        events: table of events. With it, steps are counted from each replica's onset. Else empty.
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
    events: str
    first: int
    last: int
    checkpoints_every: int
    metrics_every: int
    metrics: Path

    def check(self, trained: int) -> None:
        """End the process with a message if the run of `trained` steps lacks these steps."""
        if self.first > self.last or not (self.events or (self.first >= 0 and self.last <= trained)):
            raise SystemExit(
                f"steps {self.first} to {self.last}: should be within the {trained} steps of {self.condition}"
            )
        every = min(self.checkpoints_every, self.metrics_every)
        if every < 1:
            raise SystemExit(f"one step in {every}: should be one in 1 or more")

    def observed(self, onset: float | None, trained: int) -> tuple[loop.Observed, int]:
        """Return the steps to observe, and the first of them.

        Args:
            onset: the replica's onset, from which steps are counted. NaN if it had no onset; None to count from step 0.
            trained: number of steps of the run.
        """
        if onset is None:
            return self._between(self.first, self.last), self.first
        if onset != onset:  # NaN
            return loop.Observed(0, (), ()), self.first
        # Every replica has checkpoints at the same distances from its onset, as far as the run reaches on either side.
        # So both ends move inwards by whole spacings: `start` is the first such step from 0 on.
        first, every = int(onset) + self.first, self.checkpoints_every
        start = first + every * max(0, -(first // every))
        end = start + (min(trained, int(onset) + self.last) - start) // every * every
        return self._between(start, end), start

    def _between(self, first: int, last: int) -> loop.Observed:
        return loop.Observed.between(first, last, self.checkpoints_every, self.metrics_every)


def main(job: Replay) -> None:
    """Replay steps of every replica of a block, to equal bytes; a replica without onset has no rows or checkpoints."""
    condition = from_json(Condition, job.settings)
    trained = condition.schedule.steps
    job.check(trained)
    block = Block(job.split, devices.set_up(job.device))
    finished = tables.read(job.finished, METRICS)
    onsets = steps_of_events(tables.read(Path(job.events), EVENTS), job.condition)["onset"] if job.events else None
    frames: list[pd.DataFrame] = []
    with room_for(job.condition):
        for position, replica, examples in block.replicas():
            observed, start = job.observed(None if onsets is None else onsets[replica], trained)
            say = partial(print, f"{job.condition}, replica {replica}:", flush=True)
            folder = folder_of(job.states, position, job.training_code, job.settings, job.device, job.split)
            state = States(folder, say).nearest(start - 1) if observed.checkpoints else None
            say(f"replays from {f'the state at step {state.step:,}' if state else 'its seed'}")
            run = replay(condition, examples, block.vocabulary, replica, observed, state)
            path = job.metrics.parent / checkpoints.file_name(position)
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            if run.metrics.empty:
                continue
            before = finished[(finished["replica"] == replica) & (finished["step"] < start)]
            diverged = run.metrics["diverged"] | before["diverged"].any()
            frames.append(run.metrics.assign(condition=job.condition, replica=replica, diverged=diverged))
        tables.write(job.metrics, METRICS, tables.joined(METRICS, frames), {"condition": json.loads(job.settings)})


if __name__ == "__main__":
    run(main)
