"""Checkpoints of a block → share of the general solution in each network's answers, and the forces on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from general_circuits import devices
from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.measurements.progress import learned
from general_circuits.measurements.progress.measure import measure, single_examples, weights
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.moments import all_steps, steps_by_replica
from general_circuits.storage.schemas.matrices import TABLE as MATRICES
from general_circuits.storage.schemas.progress import TABLE as PROGRESS
from general_circuits.storage.schemas.reinforcement import TABLE as REINFORCEMENT
from general_circuits.storage.schemas.spectrum import TABLE as SPECTRUM
from general_circuits.storage.schemas.structure import TABLE as STRUCTURE
from general_circuits.storage.shared_steps import shared, steps_of_block
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition

TABLES = {"progress": PROGRESS, "structure": STRUCTURE, "matrices": MATRICES, "spectrum": SPECTRUM}


@dataclass(frozen=True)
class Progress:
    """Arguments of one job.

    Attributes:
        split: examples of the block. Its weights lie beside this file.
        moments: the table `moments` of the block, all of whose steps are measured; empty if there is none.
        condition: name of the condition.
        settings: settings of the condition, as JSON. They name the task whose general solution is measured.
        steps: number of scheduled checkpoints to measure; 0 for all.
        examples: number of training examples whose gradients are measured one by one.
        examples_steps: number of checkpoints at which these examples are measured.
        general_at: checkpoint that defines the general solution: "last" or, for a branch, "first".
        device: "cpu" or "cuda".
        output: the table `progress`; the other tables are written beside it.
    """

    split: Path
    moments: str
    condition: str
    settings: str
    steps: int
    examples: int
    examples_steps: int
    general_at: str
    device: str
    output: Path


def main(job: Progress) -> None:
    """Measure the general solution in every network of a block, and the forces that training exerts on it."""
    device, condition = devices.set_up(job.device), from_json(Condition, job.settings)
    block = Block(job.split, device)
    precision = torch.float64 if condition.optimiser.loss_precision == "float64" else torch.float32
    moments = steps_by_replica(job.moments, block.seeds)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in [*TABLES, "reinforcement"]}
    chosen = shared(steps_of_block(block), partial(evenly_chosen, how_many=job.steps or None))
    for position, replica, splits in block.replicas():
        stored = checkpoints.stored(block, position)
        scheduled = chosen[position]
        if not scheduled:  # a replica of a branch whose parent never reached it
            continue
        first = weights(next(stored.models(stored.steps()[:1], device))[1])
        general, after = learned.general(condition, splits, block.vocabulary, stored.backwards(device)), None
        if job.general_at == "first":
            # What a branch leaves must not choose how its effect is measured.
            forwards = stored.models(stored.steps(), device)
            general, after = learned.general(condition, splits, block.vocabulary, forwards), general
        steps_of_examples = evenly_chosen(scheduled, job.examples_steps)
        of_replica = moments.get(replica, {})
        around, replayed = of_replica.get(AROUND_ONSET, ()), sorted(all_steps(of_replica))
        networks = checkpoints.merged(
            stored, checkpoints.replayed(block, job.moments, position), scheduled, replayed, device
        )
        for step, model in networks:
            print(f"{job.condition}, replica {replica}: step {step:,}", flush=True)
            names = {"condition": job.condition, "replica": replica, "step": step}
            flags = {"is_scheduled": step in scheduled, "around_onset": step in around}
            measured = measure(model, general.examples, general, precision, first, after)
            for name in TABLES:
                frames[name].append(getattr(measured, name).assign(**names, **flags))
            if step in steps_of_examples and job.examples:
                rows = single_examples(model, general.examples, general, precision, job.examples, replica)
                frames["reinforcement"].append(rows.assign(**names))
    metadata = tables.inherited(job.split)
    for name, table in {**TABLES, "reinforcement": REINFORCEMENT}.items():
        path = job.output if name == "progress" else job.output.with_name(f"{job.output.stem}-{name}.parquet")
        tables.write(path, table, tables.joined(table, frames[name]), metadata)


if __name__ == "__main__":
    run(main)
