"""Progress of a branch is measured in the key frequencies that it began with, whatever it does to them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import VOCABULARY, condition, model_settings

from general_circuits.models.ground_truth import fourier
from general_circuits.models.transformer import Transformer
from general_circuits.records import to_json
from general_circuits.stages import generate_task, measure_progress, split_examples
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.schemas import registry

FREQUENCIES = 2
"""All frequencies of addition modulo 5."""


def network() -> Transformer:
    """Return a network that adds by both frequencies."""
    return fourier(Transformer(model_settings(d_mlp=9 * FREQUENCIES, biases="none"), VOCABULARY))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of one replica, whose second checkpoint has lost frequency 2."""
    made, setting = tmp_path_factory.mktemp("branch"), condition()
    generate_task.main(to_json(setting.task), made / "task.parquet")
    drawn = {"condition": "tiny", "first_seed": 0, "block": 0, "replicas": 1}
    split_examples.main(made / "task.parquet", to_json(setting.split), output=made / "split.parquet", **drawn)
    weights = {name: torch.stack([weight.detach()] * 2) for name, weight in network().named_parameters()}
    weights["unembed.W_U"][1, -2:] = 0.0  # the coordinates that frequency 2 writes
    checkpoints.write(made / checkpoints.file_name(0), 0, weights, [20, 30], network())
    return made


def measured(folder: Path, output: Path, general_at: str) -> dict[str, pd.DataFrame]:
    setting = to_json(condition())
    how = {"moments": "", "steps": 0, "examples": 0, "examples_steps": 1, "general_at": general_at, "device": "cpu"}
    job = {"split": folder / "split.parquet", "condition": "tiny", "settings": setting, "output": output / "0.parquet"}
    measure_progress.main(measure_progress.Progress(**job, **how))
    names = {"progress": "0.parquet", "structure": "0-structure.parquet", "spectrum": "0-spectrum.parquet"}
    return {name: tables.read(output / file, registry.table(name)) for name, file in names.items()}


@pytest.mark.parametrize(("general_at", "keys"), [("first", {1, 2}), ("last", {1})])
def test_key_frequencies_are_those_of_the_chosen_checkpoint(
    folder: Path, tmp_path: Path, general_at: str, keys: set[int]
) -> None:
    frames = measured(folder, tmp_path, general_at)
    spectrum = frames["spectrum"]
    assert set(spectrum.loc[spectrum["is_key"], "frequency"]) == keys
    assert ("unseen_after" in set(frames["progress"]["component"])) == (general_at == "first")


def test_the_former_choice_misses_what_the_branch_has_lost(folder: Path, tmp_path: Path) -> None:
    """The restricted part loses a frequency in the branch. In the frequencies that are left, it loses less."""
    lost = {}
    for general_at in ("first", "last"):
        rows = measured(folder, tmp_path / general_at, general_at)["progress"]
        rows = rows[(rows["split"] == "train") & (rows["component"] == "restricted")].set_index("step")
        lost[general_at] = 1 - rows.loc[30, "part_of_margin"] / rows.loc[20, "part_of_margin"]
    assert lost["first"] > lost["last"] + 0.1


def test_displacement_counts_from_the_first_checkpoint(folder: Path, tmp_path: Path) -> None:
    moved = measured(folder, tmp_path, "first")["structure"].set_index("step")["displacement"]
    assert moved[20] == 0
    assert moved[30] == pytest.approx(float(network().unembed.W_U[-2:].detach().norm()))
