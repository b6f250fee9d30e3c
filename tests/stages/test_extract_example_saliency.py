"""Saliency of every example, which the statistics of the saliency table summarise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from builders import MODULUS, random_transformer, split_settings

from general_circuits.config.measurements import SaliencySettings
from general_circuits.measurements.saliency.order_statistics import neuron_statistics
from general_circuits.records import to_json
from general_circuits.stages import extract_example_saliency, extract_saliency, generate_task, split_examples
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.schemas.attribution import TABLE as ATTRIBUTION
from general_circuits.storage.schemas.example_saliency import TABLE as EXAMPLE_SALIENCY
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.storage.schemas.split import TABLE as SPLIT
from general_circuits.tasks.modular import Modular

REPLICAS, STEPS = (3, 4), [0, 10, 25]
QUESTIONS = SaliencySettings(
    methods=["shapley", "activation_gradient"],
    targets=["right_minus_mean", "margin"],
    normalisations=["raw", "matched", "per_example"],
    sites=["mlp", "heads"],
    examples=6,
    permutations=2,
).as_option()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split of a block of two replicas, with three random networks for each beside it."""
    folder = tmp_path_factory.mktemp("block")
    generate_task.main(to_json(Modular(("x+y",), MODULUS)), folder / "task.parquet")
    drawn = {"first_seed": REPLICAS[0], "block": 0, "replicas": len(REPLICAS), "output": folder / "split.parquet"}
    split_examples.main(folder / "task.parquet", to_json(split_settings()), "tiny", **drawn)
    for position, replica in enumerate(REPLICAS):
        models = [
            random_transformer(MODULUS + 1, MODULUS, seed=10 * replica + i, dtype=torch.float32, n_layers=2)
            for i in range(len(STEPS))
        ]
        weights = {name: torch.stack([model.state_dict()[name] for model in models]) for name in models[0].state_dict()}
        checkpoints.write(folder / checkpoints.file_name(position), replica, weights, STEPS, models[0])
    return folder / "split.parquet"


@pytest.fixture(scope="module")
def by_example(split: Path) -> pd.DataFrame:
    """Saliency of every example at the second checkpoint."""
    output = split.parent / "examples.parquet"
    extract_example_saliency.main(split, "tiny", 10, QUESTIONS, "cpu", output)
    return tables.read(output, EXAMPLE_SALIENCY)


def test_statistics_of_the_examples_are_the_rows_of_the_saliency_table(split: Path, by_example: pd.DataFrame) -> None:
    files = {"output": split.parent / "saliency.parquet", "attribution": split.parent / "attribution.parquet"}
    told = {"split": split, "moments": "", "condition": "tiny", "questions": QUESTIONS, "steps": 0, "reads": "all"}
    extract_saliency.main(extract_saliency.Extraction(**told, device="cpu", **files))
    assert len(tables.read(files["attribution"], ATTRIBUTION)) == 2 * 3 * 2 * (2 + 2) * 2 * 2 * 3
    saliency = tables.read(files["output"], SALIENCY)
    key = [name for name in SALIENCY.key if name not in ("step", "neuron")]
    groups = by_example.groupby(key, observed=True)
    expected = saliency[saliency["step"] == 10].groupby(key, observed=True)
    assert set(groups.groups) == set(expected.groups)
    for names, rows in groups:
        values = rows.pivot(index="example", columns="neuron", values="saliency").to_numpy()
        statistics = pd.DataFrame(neuron_statistics(torch.tensor(values))).astype(np.float32)
        rows_there = expected.get_group(names).set_index("neuron").sort_index()[statistics.columns]
        pd.testing.assert_frame_equal(statistics, rows_there, check_names=False, check_index_type=False, rtol=1e-5)


def test_examples_have_their_numbers_in_the_task_and_their_split(split: Path, by_example: pd.DataFrame) -> None:
    drawn = tables.read(split, SPLIT).set_index(["replica", "example"])["split"]
    numbers = zip(by_example["replica"], by_example["example"], strict=True)
    assert (drawn.loc[numbers] == by_example["split"].to_numpy()).all()
    of_heads = by_example[by_example["site"] == "heads"]
    counts = of_heads.groupby(["replica", "split", "method"], observed=True)["example"].nunique()
    assert set(counts.xs("shapley", level="method")) == {6}  # a method of many passes
    assert set(counts.xs(("train", "activation_gradient"), level=("split", "method"))) == {15}


def test_a_step_without_a_checkpoint_is_refused_with_the_list_of_checkpoints(split: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"step=11: tiny has no such checkpoint; it has \[0, 10, 25\]"):
        extract_example_saliency.main(split, "tiny", 11, QUESTIONS, "cpu", tmp_path / "examples.parquet")
    assert list(tmp_path.iterdir()) == []
