"""Split of a block → metrics and checkpoints of its replicas; those of a branch begin where it leaves its parent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.windows import steps_of_events
from general_circuits.models.build import build
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.stages.interruption import Stop, room_for
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training import loop
from general_circuits.training.branch import Branched
from general_circuits.training.branch_start import BranchStart
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Branch, Condition


@dataclass(frozen=True)
class Training:
    """Arguments of one job.

    Attributes:
        split: examples of the block, replica by replica.
        condition: name of the condition.
        settings: settings of the condition, as JSON.
        device: "cpu" or "cuda".
        code: fingerprint of the code that trains. States of other code, settings or inputs are not used.
        states: folder of the block's training states, from which an interrupted job goes on.
        keep_states: number of states to leave per replica.
        branch: how the condition leaves its parent, as JSON; empty for a condition that is no branch.
        parent: the parent's folder of this block, with its split, events and metrics.
        parent_states: folder of the parent's training states, from which its steps up to the branch are replayed.
        parent_code: fingerprint of the code that trained the parent, by which its states are found.
        partner: events of the same block of grokking, by which replicas of a condition with `until` end; else empty.
        as_kicked: metrics of another branch, whose lowest training accuracy a kick has to reach; else empty.
        metrics: the table to write, after everything else; weights are written beside it.
    """

    split: Path
    condition: str
    settings: str
    device: str
    code: str
    states: Path
    keep_states: int
    branch: str
    parent: Path
    parent_states: Path
    parent_code: str
    as_kicked: str
    partner: str
    metrics: Path

    def branch_start(self) -> BranchStart | None:
        """Return the start of the branch; None for a condition that is no branch."""
        if not self.branch:
            return None
        kicked = Path(self.as_kicked) if self.as_kicked else None
        branch = from_json(Branch, self.branch)
        return BranchStart(branch, self.parent, self.parent_states, kicked, self.parent_code, self.device)


def main(job: Training) -> None:
    """Train every replica of a block. A replica whose parent never reached the branch gets no rows or checkpoints."""
    stop, branch_start = Stop(), job.branch_start()
    condition = from_json(Condition, job.settings)
    block = Block(job.split, devices.set_up(job.device))
    key = branch_start.key() if branch_start else ""
    ends = _ends(Path(job.partner), block.seeds, condition) if job.partner else {}
    frames: list[pd.DataFrame] = []
    all_states: list[States] = []
    with room_for(job.condition):
        for position, replica, examples in block.replicas():
            say = partial(print, f"{job.condition}, replica {replica}:", flush=True)
            also = key + condition.schedule.end_key(ends[replica]) if replica in ends else key
            folder = folder_of(job.states, position, job.code, job.settings, job.device, job.split, also)
            states = States(folder, say).only()
            all_states.append(states)
            path = job.metrics.parent / checkpoints.file_name(position)
            start = _start(condition, branch_start, examples, block.vocabulary, replica, say)
            if start is None:
                model = build(condition.model, block.vocabulary)
                checkpoints.write(path, replica, checkpoints.none_of(model), [], model)
                continue
            last = branch_start.branch.last(start.step) if branch_start else ends.get(replica)
            try:
                run = loop.follow(start, loop.Observed.of(condition, start.step, last), say, states, stop.is_asked)
            except loop.Stopped as end:
                say(str(end))
                raise SystemExit(stop.exit_status) from None
            checkpoints.write(path, replica, run.weights, run.steps, run.model)
            # A branch that leaves its parent after the parent diverged is flagged from its first row.
            had_diverged = branch_start is not None and branch_start.has_diverged(replica, start.step)
            diverged = run.metrics["diverged"] | had_diverged
            frames.append(run.metrics.assign(condition=job.condition, replica=replica, diverged=diverged))
        metadata = {"condition": json.loads(job.settings), "replicas": block.seeds}
        tables.write(job.metrics, METRICS, tables.joined(METRICS, frames), metadata)
    # After the table is written: an interrupted job still needs all states and records.
    for states in all_states:
        states.thin(job.keep_states, condition.schedule.state_every)


def _ends(partner: Path, seeds: Sequence[int], condition: Condition) -> dict[int, int]:
    """Return the last step of each replica, from its partner's t_g."""
    rows = tables.read(partner, EVENTS, seeds)
    generalised = steps_of_events(rows, rows["condition"].iloc[0])["generalised"]
    return {int(replica): condition.schedule.last(step) for replica, step in generalised.items()}


def _start(
    condition: Condition,
    branch_start: BranchStart | None,
    examples: dict[str, Examples],
    vocabulary: Vocabulary,
    replica: int,
    say: Callable[[str], None],
) -> Replica | Branched | None:
    """Return a replica at its first step; None if the parent never reached the branch."""
    if branch_start:
        return branch_start.start(replica, condition, examples, say)
    return Replica(condition, examples, vocabulary, replica)


if __name__ == "__main__":
    run(main)
