"""Checkpoints and saliencies of a block → what deleting neurons costs, by ranking, number and draw."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from general_circuits import devices
from general_circuits.measurements.ablation.measure import DeletionSettings, measure
from general_circuits.registered import REGISTERED, rows_of
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.ablation import TABLE as ABLATION
from general_circuits.storage.schemas.damage import TABLE as DAMAGE
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.training.schedule import evenly_chosen


def main(
    split: Path,
    saliency: Path,
    condition: str,
    sites: str,
    deletions: str,
    rankings: str,
    attributions: str,
    dead_units: str,
    splits: str,
    k_points: int,
    random_draws: int,
    examples: int,
    steps: int,
    device: str,
    ablation: Path,
    damage: Path,
) -> None:
    """Rank by RANKINGS on training examples; delete on EXAMPLES of SPLITS each at STEPS steps. 0 K_POINTS are all.

    Of ATTRIBUTIONS the registered one, or all, for specification curves, which read areas only.
    """
    torch_device = devices.set_up(device)
    lists: dict[str, Any] = {
        "sites": sites.split(","),
        "deletions": deletions.split(","),
        "rankings": rankings.split(","),
        "dead_units": dead_units.split(","),
    }
    settings = DeletionSettings(
        **lists,
        k_points=k_points or "all",
        random_draws=random_draws,
        examples=examples,
        areas_only=attributions == "all",
    )
    salience = tables.read(saliency, SALIENCY)
    read = {"split"} if attributions == "all" else REGISTERED.keys() - {"site"}
    salience = rows_of(salience, **{name: REGISTERED[name] for name in read})
    areas: list[pd.DataFrame] = []

    def parts() -> Iterator[pd.DataFrame]:
        for position, replica, everything in Block(split, torch_device).replicas():
            data = {name: everything[name] for name in splits.split(",")}
            train = everything["train"].tokens
            of_replica = salience[salience["replica"] == replica]
            stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
            wanted = evenly_chosen(sorted(of_replica["step"].unique()), steps or None)
            for step, model in stored.models(wanted, torch_device):
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                here, scale = of_replica[of_replica["step"] == step], model.logit_scale(train)
                names = {"condition": condition, "replica": replica, "step": step}
                curves, damages = measure(model, data, here, settings, scale, replica)
                areas.append(damages.assign(**names))
                yield curves.assign(**names).sort_values(list(ABLATION.key))

    metadata = tables.read_metadata(saliency)
    tables.write_in_parts(ablation, ABLATION, parts(), metadata)
    tables.write(damage, DAMAGE, tables.joined(DAMAGE, areas), metadata)


if __name__ == "__main__":
    run(main)
