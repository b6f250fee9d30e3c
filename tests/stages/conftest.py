"""Inputs of tiny blocks, made by their stages."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import condition
from jobs import finish

from general_circuits.records import to_json


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One replica of addition modulo 5."""
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="session")
def other_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One replica of addition modulo 5 with other training examples, as many as in `inputs`."""
    return make_inputs(tmp_path_factory.mktemp("other"), first_seed=7)


@pytest.fixture(scope="session")
def two_replicas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two replicas."""
    return make_inputs(tmp_path_factory.mktemp("two"), replicas=2)


def make_inputs(folder: Path, first_seed: int = 0, replicas: int = 1) -> Path:
    """Write the task and the split of a block to a folder, and return the folder."""
    settings = condition()
    task = {"task": to_json(settings.task)}
    assert finish("generate_task", {**task, "output": folder / "task.parquet"}, folder / "task.log") == 0
    split = {
        "task": folder / "task.parquet",
        "split": to_json(settings.split),
        "condition": "tiny",
        "first_seed": first_seed,
        "block": 0,
        "replicas": replicas,
    }
    assert finish("split_examples", {**split, "output": folder / "split.parquet"}, folder / "split.log") == 0
    return folder
