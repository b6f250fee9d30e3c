"""Checkpoints of a block → how much of each network's answers is the general solution, and what moves it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from general_circuits import devices
from general_circuits.measurements.progress import learned
from general_circuits.measurements.progress.measure import measure, single_examples
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.matrices import TABLE as MATRICES
from general_circuits.storage.schemas.progress import TABLE as PROGRESS
from general_circuits.storage.schemas.reinforcement import TABLE as REINFORCEMENT
from general_circuits.storage.schemas.spectrum import TABLE as SPECTRUM
from general_circuits.storage.schemas.structure import TABLE as STRUCTURE
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition

TABLES = {"progress": PROGRESS, "structure": STRUCTURE, "matrices": MATRICES, "spectrum": SPECTRUM}


def main(
    split: Path,
    onset: str,
    condition: str,
    settings: str,
    steps: int,
    examples: int,
    examples_steps: int,
    device: str,
    output: Path,
) -> None:
    """Read the weights beside SPLIT, at STEPS checkpoints (0 for all), and all of those in the folder ONSET, if any.

    At EXAMPLES_STEPS checkpoints, what the gradients of EXAMPLES training examples do. SETTINGS (JSON) name the task.
    OUTPUT is the table `progress`; the others lie beside it.
    """
    torch_device, resolved = devices.set_up(device), from_json(Condition, settings)
    block = Block(split, torch_device)
    precision = torch.float64 if resolved.optimiser.loss_precision == "float64" else torch.float32
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in [*TABLES, "reinforcement"]}
    for position, replica, splits in block.replicas():
        stored = checkpoints.Checkpoints(split.parent / checkpoints.file_name(position))
        wanted = evenly_chosen(stored.steps(), steps or None)
        if not wanted:  # a branch of which this replica has none
            continue
        general = learned.general(resolved, splits, block.vocabulary, stored.backwards(torch_device))
        ground = general.examples
        closely = evenly_chosen(wanted, examples_steps)
        seen, around = [stored.models(wanted, torch_device)], []
        if onset:
            replayed = checkpoints.Checkpoints(Path(onset) / checkpoints.file_name(position))
            around = replayed.steps()
            seen.append(replayed.models(sorted({*around} - {*wanted}), torch_device))
        for models in seen:
            for step, model in models:
                print(f"{condition}, replica {replica}: step {step:,}", flush=True)
                names = {"condition": condition, "replica": replica, "step": step}
                flags = {"is_scheduled": step in wanted, "around_onset": step in around}
                found = measure(model, ground, general, precision)
                for name in TABLES:
                    frames[name].append(getattr(found, name).assign(**names, **flags))
                if step in closely and examples:
                    of_examples = single_examples(model, ground, general, precision, examples, replica)
                    frames["reinforcement"].append(of_examples.assign(**names))
    metadata = tables.read_metadata(split)
    for name, table in {**TABLES, "reinforcement": REINFORCEMENT}.items():
        path = output if name == "progress" else output.with_name(f"{output.stem}-{name}.parquet")
        tables.write(path, table, tables.joined(table, frames[name]), metadata)


if __name__ == "__main__":
    run(main)
