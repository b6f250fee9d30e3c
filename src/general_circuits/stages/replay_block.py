"""Some steps of a finished block, trained again from the nearest states and looked at more closely."""

from __future__ import annotations

import json
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


def main(
    split: Path,
    condition: str,
    settings: str,
    finished: Path,
    device: str,
    training_code: str,
    states: Path,
    events: str,
    first: int,
    last: int,
    checkpoints_every: int,
    metrics_every: int,
    metrics: Path,
) -> None:
    """Replay steps FIRST to LAST of every replica of SPLIT, from STATES that TRAINING_CODE left or else the seed.

    FINISHED are the metrics of the whole run: what had diverged before FIRST still has.

    With an EVENTS table, steps are counted from each replica's onset, as far as it was trained; without an onset there
    is nothing to see.

    One step in so many is a checkpoint or a row of METRICS, FIRST and LAST always. Equal steps have equal bytes.
    """
    resolved = from_json(Condition, settings)
    trained = resolved.schedule.steps
    if first > last or not (events or (first >= 0 and last <= trained)):
        raise SystemExit(f"steps {first} to {last}: should be within the {trained} steps of {condition}")
    if min(checkpoints_every, metrics_every) < 1:
        raise SystemExit(f"one step in {min(checkpoints_every, metrics_every)}: should be one in 1 or more")
    block = Block(split, devices.set_up(device))
    whole = tables.read(finished, METRICS)
    onsets = steps_of_events(tables.read(Path(events), EVENTS), condition)["onset"] if events else None
    frames: list[pd.DataFrame] = []
    with room_for(condition):
        for position, replica, examples in block.replicas():
            observed, start = loop.Observed(0, (), ()), first
            if onsets is None:
                observed = loop.Observed.between(first, last, checkpoints_every, metrics_every)
            elif onsets.notna()[replica]:
                onset = int(onsets[replica])
                # Counted from each onset the same steps, as far as there are any.
                start = onset + first + checkpoints_every * max(0, -((onset + first) // checkpoints_every))
                end = start + (min(trained, onset + last) - start) // checkpoints_every * checkpoints_every
                observed = loop.Observed.between(start, end, checkpoints_every, metrics_every)
            say = partial(print, f"{condition}, replica {replica}:", flush=True)
            kept = States(folder_of(states, position, training_code, settings, device, split), say)
            state = kept.nearest(start - 1) if observed.checkpoints else None
            say(f"replays from {f'the state at step {state.step:,}' if state else 'its seed'}")
            run = replay(resolved, examples, block.vocabulary, replica, observed, state)
            path = metrics.parent / checkpoints.file_name(position)
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            if run.metrics.empty:
                continue
            before = whole[(whole["replica"] == replica) & (whole["step"] < start)]
            has_diverged = run.metrics["diverged"] | before["diverged"].any()
            frames.append(run.metrics.assign(condition=condition, replica=replica, diverged=has_diverged))
        tables.write(metrics, METRICS, tables.joined(METRICS, frames), {"condition": json.loads(settings)})


if __name__ == "__main__":
    run(main)
