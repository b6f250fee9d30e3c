"""Checkpoints of a block → saliency statistics of every neuron, and the error of each attribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from general_circuits import devices
from general_circuits.analysis.moments import steps_of
from general_circuits.analysis.windows import steps_read
from general_circuits.measurements.saliency.measure import Questions, measure
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.attribution import TABLE as ATTRIBUTION
from general_circuits.storage.schemas.moments import TABLE as MOMENTS
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.training.schedule import evenly_chosen


@dataclass(frozen=True)
class Extraction:
    """Arguments of one job.

    Attributes:
        split: examples of the block. Its weights lie beside this file.
        moments: the table `moments` of the block, whose steps are measured beside the scheduled checkpoints; empty if
            there is none.
        condition: name of the condition.
        questions: saliency to measure, as JSON.
        steps: number of scheduled checkpoints to measure; 0 for all.
        reads: "all" measures all of these steps, "claims" only the baseline and the late window, which claims read.
        device: "cpu" or "cuda".
        output, attribution: the tables to write.
    """

    split: Path
    moments: str
    condition: str
    questions: str
    steps: int
    reads: str
    device: str
    output: Path
    attribution: Path


def main(job: Extraction) -> None:
    """Measure the saliency of every neuron in the networks of a block."""
    device, settings = devices.set_up(job.device), from_json(Questions, job.questions)
    block, moments = Block(job.split, device), pd.DataFrame()
    if job.moments:
        moments = steps_of(tables.read(Path(job.moments), MOMENTS, block.seeds), job.condition)
    layers: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in block.replicas():
            stored = checkpoints.stored(block, position)
            scheduled = evenly_chosen(stored.steps(), job.steps or None)
            others: list[int] = []
            if replica in moments.index:
                of_replica = moments.loc[replica]
                others = sorted({int(step) for step in of_replica.dropna()})
                if job.reads == "claims":
                    read = steps_read(sorted({*scheduled, *others}), of_replica)
                    scheduled, others = ([step for step in steps if step in read] for steps in (scheduled, others))
            elif job.reads == "claims":
                scheduled = scheduled[-1:]
            networks = checkpoints.merged(
                stored, checkpoints.replayed(block, job.moments, position), scheduled, others, device
            )
            for step, model in networks:
                print(f"{job.condition}, replica {replica}: step {step:,}", flush=True)
                names = {"condition": job.condition, "replica": replica, "step": step}
                neurons, of_layers = (rows.assign(**names) for rows in measure(model, examples, settings, replica))
                layers.append(of_layers)
                yield neurons.sort_values(list(SALIENCY.key))

    # One checkpoint at a time: small tables of many checkpoints would keep the allocator from returning their memory.
    metadata = tables.inherited(job.split)
    tables.write_in_parts(job.output, SALIENCY, parts(), metadata)
    tables.write(job.attribution, ATTRIBUTION, tables.joined(ATTRIBUTION, layers), metadata)


if __name__ == "__main__":
    run(main)
