"""One condition and a block of replicas → metrics and checkpoints; of a branch, from where it leaves its parent."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from general_circuits import devices
from general_circuits.models.build import build
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.stages.interruption import Stop, room_for
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.training import loop
from general_circuits.training.branch import Branched
from general_circuits.training.branch_start import BranchStart
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import STATE_EVERY
from general_circuits.training.settings import Branch, Condition


def main(
    split: Path,
    condition: str,
    settings: str,
    device: str,
    code: str,
    states: Path,
    keep_states: int,
    branch: str,
    parent: Path,
    parent_states: Path,
    as_kicked: str,
    metrics: Path,
) -> None:
    """Train every replica of SPLIT under SETTINGS (JSON); METRICS is written last, weights beside it.

    Goes on from the last of STATES that equal CODE, settings and inputs left, and leaves KEEP_STATES per replica.

    A BRANCH (JSON) begins where its PARENT was, whose folder of runs that is, replayed from PARENT_STATES. A replica
    whose parent never came there has neither rows nor checkpoints. AS_KICKED are the metrics of another branch, whose
    lowest training accuracy a kick is to equal.
    """
    stop = Stop()
    resolved = from_json(Condition, settings)
    block = Block(split, devices.set_up(device))
    branch_start = None
    if branch:
        like = Path(as_kicked) if as_kicked else None
        branch_start = BranchStart(from_json(Branch, branch), parent, parent_states, like, code, device)
    key = branch_start.key() if branch_start else ""
    frames, kept = [], []
    with room_for(condition):
        for position, replica, examples in block.replicas():
            say = partial(print, f"{condition}, replica {replica}:", flush=True)
            kept.append(States(folder_of(states, position, code, settings, device, split, key), say).only())
            path = metrics.parent / checkpoints.file_name(position)
            start: Replica | Branched | None
            if branch_start:
                start = branch_start.start(replica, resolved, examples, say)
            else:
                start = Replica(resolved, examples, block.vocabulary, replica)
            if start is None:
                model = build(resolved.model, block.vocabulary)
                checkpoints.write(path, replica, checkpoints.none_of(model), [], model)
                continue
            observed = loop.Observed.of(
                resolved, start.step, branch_start.branch.last(start.step) if branch_start else None
            )
            has_diverged = branch_start is not None and branch_start.has_diverged(replica, start.step)
            try:
                run = loop.follow(start, observed, say, kept[-1], stop.is_asked)
            except loop.Stopped as end:
                say(str(end))
                raise SystemExit(stop.exit_status) from None
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            rows = run.metrics.assign(condition=condition, replica=replica)
            frames.append(rows.assign(diverged=rows["diverged"] | has_diverged))
        tables.write(metrics, METRICS, tables.joined(METRICS, frames), {"condition": json.loads(settings)})
    for of_replica in kept:
        of_replica.thin(keep_states, STATE_EVERY)


if __name__ == "__main__":
    run(main)
