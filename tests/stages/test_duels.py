"""Stages of duels, from a task to tables, with settings that take seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from duel_builders import SMALL, grid

from general_circuits.config.duels import PlantedSettings
from general_circuits.records import to_json
from general_circuits.stages import duel_modules, duel_toys, generate_task, split_examples, train_modules
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry

SHORT = {**SMALL, "parts": [1, 2], "memory_steps": 60, "duel_steps": 4, "evaluations": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two replicas, with its split and its modules."""
    made = tmp_path_factory.mktemp("duels")
    condition, planting, _ = PlantedSettings(**SHORT).resolve()
    generate_task.main(to_json(condition.task), made / "task.parquet")
    drawn = {"condition": "planted", "first_seed": 4, "block": 1, "replicas": 2}
    split_examples.main(made / "task.parquet", to_json(condition.split), output=made / "split.parquet", **drawn)
    files = {"weights": made / "modules.safetensors", "modules": made / "modules.parquet"}
    train_modules.main(made / "split.parquet", to_json(planting), "cpu", **files)
    return made


def fight(folder: Path, output: Path) -> pd.DataFrame:
    """Run the stage `duel_modules`, and return its table."""
    _, planting, duels = PlantedSettings(**SHORT).resolve()
    weights = folder / "modules.safetensors"
    duel_modules.main(folder / "split.parquet", weights, to_json(planting), to_json(duels), "cpu", output)
    return tables.read(output, registry.table("planted"))


def test_modules_of_both_replicas_are_described_and_memorisers_have_learned(folder: Path) -> None:
    rows = tables.read(folder / "modules.parquet", registry.table("modules"))
    assert set(rows["replica"]) == {6, 7}
    assert (rows.loc[rows["kind"] == "memoriser", "accuracy"] > 0.9).all()


def test_duels_that_run_again_have_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    rows = fight(folder, tmp_path / "one.parquet")
    fight(folder, tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert set(rows["replica"]) == {6, 7}
    assert set(rows["duel_kind"]) == {"duel", "generalisers", "memorisers", "copy"}
    assert set(tables.inherited(tmp_path / "one.parquet")) == {"planting", "duels", "replicas"}


def test_toys_of_one_update_rule_are_one_table_with_equal_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        duel_toys.main(to_json(grid(batch_sizes=(1,))), "sgd", tmp_path / f"{name}.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    rows = tables.read(tmp_path / "one.parquet", registry.table("toy"))
    assert set(rows["optimiser"]) == {"sgd"}
    assert rows["contributions"].map(len).eq(4).all()
