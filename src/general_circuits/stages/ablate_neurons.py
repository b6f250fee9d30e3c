"""Checkpoints and saliencies of a block → damage by deleted neurons, by ranking, number and draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from general_circuits import devices
from general_circuits.measurements.ablation.measure import DeletionSettings, measure
from general_circuits.records import from_json
from general_circuits.registered import REGISTERED, rows_of
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.moments import all_steps, steps_by_replica
from general_circuits.storage.schemas.ablation import TABLE as ABLATION
from general_circuits.storage.schemas.damage import TABLE as DAMAGE
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.storage.shared_steps import shared, steps_of_block
from general_circuits.training.schedule import evenly_chosen


@dataclass(frozen=True)
class Deletions:
    """Deletions that one job carries out.

    Attributes:
        settings: neurons to delete, and the ways to delete them.
        splits: splits on whose examples damage is measured.
        checkpoints: number of checkpoints, among those with saliency. 0 means all.
        attributions: "registered" ranks neurons by the registered saliency. "all" ranks them by every saliency, for
            specification curves.
    """

    settings: DeletionSettings
    splits: tuple[str, ...]
    checkpoints: int
    attributions: Literal["registered", "all"]

    @property
    def ranked_by(self) -> dict[str, str]:
        """Columns of the saliency table, with their values in the rows that rank neurons."""
        # Neurons of every site are deleted, so their rows are not restricted to the registered one.
        columns = {"split"} if self.attributions == "all" else REGISTERED.keys() - {"site"}
        return {name: REGISTERED[name] for name in columns}


@dataclass(frozen=True)
class Ablation:
    """Arguments of one job.

    Attributes:
        split: examples of the block. Its weights lie beside this file.
        moments: the table `moments` of the block, which has replayed weights beside it; empty if there is none.
        saliency: the table that ranks the neurons. Damage is measured at its steps.
        condition: name of the condition.
        deletions: what is deleted and measured, as JSON.
        device: "cpu" or "cuda".
        ablation, damage: the tables to write.
    """

    split: Path
    moments: str
    saliency: Path
    condition: str
    deletions: str
    device: str
    ablation: Path
    damage: Path


def main(job: Ablation) -> None:
    """Measure the damage of deletions to every network of a block."""
    device, settings = devices.set_up(job.device), from_json(Deletions, job.deletions)
    block = Block(job.split, device)
    salience = rows_of(tables.read(job.saliency, SALIENCY, block.seeds), **settings.ranked_by)
    moments = steps_by_replica(job.moments, block.seeds)
    ranked = {replica: set(rows["step"]) for replica, rows in salience.groupby("replica")}
    of_block = steps_of_block(block)
    with_saliency = {
        replica: [step for step in of_block[position] if step in ranked.get(replica, ())]
        for position, replica, _ in block.replicas()
    }
    # Fewer checkpoints may be chosen, but never fewer moments, which claims read.
    chosen = shared(with_saliency, partial(evenly_chosen, how_many=settings.checkpoints or None))
    areas: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, examples in block.replicas():
            measured = {name: examples[name] for name in settings.splits}
            of_replica = salience[salience["replica"] == replica]
            others = sorted(ranked.get(replica, set()) & all_steps(moments.get(replica, {})))
            stored, replayed = checkpoints.stored(block, position), checkpoints.replayed(block, job.moments, position)
            networks = checkpoints.merged(stored, replayed, chosen[replica], others, device)
            for step, model in networks:
                print(f"{job.condition}, replica {replica}: step {step:,}", flush=True)
                at_step = of_replica[of_replica["step"] == step]
                scale = model.logit_scale(examples["train"].tokens)
                names = {"condition": job.condition, "replica": replica, "step": step}
                curves, damages = measure(model, measured, at_step, settings.settings, scale, replica)
                areas.append(damages.assign(**names))
                yield curves.assign(**names).sort_values(list(ABLATION.key))

    # One checkpoint at a time, since all curves of a block together need too much memory.
    metadata = tables.inherited(job.saliency)
    tables.write_in_parts(job.ablation, ABLATION, parts(), metadata)
    tables.write(job.damage, DAMAGE, tables.joined(DAMAGE, areas), metadata)


if __name__ == "__main__":
    run(main)
