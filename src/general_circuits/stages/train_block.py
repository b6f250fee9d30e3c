"""One condition and a block of replicas → their metrics and all their checkpoints."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import checkpoints, compute, tables, training
from general_circuits.blocks import Block
from general_circuits.conditions import Condition, from_json
from general_circuits.interruptions import Stop, room_for
from general_circuits.schemas.metrics import TABLE as METRICS
from general_circuits.stages.command import run
from general_circuits.states import States, folder_of


def main(
    split: Path,
    condition: str,
    settings: str,
    device: str,
    code: str,
    states: Path,
    keep_states: int,
    metrics: Path,
) -> None:
    """Train every replica of SPLIT under SETTINGS (JSON); METRICS is written last, weights beside it.

    Goes on from the last of STATES that equal CODE, settings and inputs left, and leaves KEEP_STATES per replica.
    """
    stop = Stop()
    resolved = from_json(Condition, settings)
    block = Block(split, compute.device(device))
    frames, kept = [], []
    with room_for(condition):
        for position, replica, examples in block.replicas():
            say = partial(print, f"{condition}, replica {replica}:", flush=True)
            kept.append(States(folder_of(states, position, code, settings, device, split), say).only())
            try:
                run = training.train(resolved, examples, block.vocabulary, replica, say, kept[-1], stop.is_asked)
            except training.Stopped as end:
                say(str(end))
                raise SystemExit(stop.exit_status) from None
            path = metrics.parent / checkpoints.file_name(position)
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            frames.append(run.metrics.assign(condition=condition, replica=replica))
        tables.write(metrics, METRICS, pd.concat(frames, ignore_index=True), {"condition": json.loads(settings)})
    for of_replica in kept:
        of_replica.thin(keep_states)


if __name__ == "__main__":
    run(main)
