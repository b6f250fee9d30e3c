"""Updates of neurons between the checkpoints of a trained block, compared with the saliency table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import MODULUS, condition, model_settings, split_settings

from general_circuits.config.measurements import SaliencySettings
from general_circuits.devices import set_up
from general_circuits.records import to_json
from general_circuits.stages import extract_saliency, generate_task, split_examples, track_updates
from general_circuits.storage import checkpoints, tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.storage.schemas.updates import TABLE as UPDATES
from general_circuits.tasks.modular import Modular
from general_circuits.training import loop

REPLICAS = (3, 4)
TRAINED = condition(steps=30, model=model_settings(n_layers=2), batch_size="full")
NUMBERS = ["saliency", "breadth", "generality", "weight_norm", "gradient_norm", "gsnr", "coherence"]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split of a block of two replicas, with the weights of both beside it."""
    folder = tmp_path_factory.mktemp("block")
    generate_task.main(to_json(Modular(("x+y",), MODULUS)), folder / "task.parquet")
    drawn = {"first_seed": REPLICAS[0], "block": 0, "replicas": len(REPLICAS), "output": folder / "split.parquet"}
    split_examples.main(folder / "task.parquet", to_json(split_settings()), "tiny", **drawn)
    block = Block(folder / "split.parquet", set_up("cpu"))
    for position, replica, examples in block.replicas():
        run = loop.train(TRAINED, examples, block.vocabulary, replica)
        name = checkpoints.file_name(position)
        checkpoints.write(folder / name, replica, run.weights, run.steps, run.model)
        for onset, n in (("none", 0), ("all", len(run.steps))):  # folders of checkpoints around an onset
            weights = {key: weight[:n] for key, weight in run.weights.items()}
            checkpoints.write(folder / onset / name, replica, weights, run.steps[:n], run.model)
    return folder / "split.parquet"


def tracked(split: Path, steps: int = 0, onset: str = "none") -> pd.DataFrame:
    """Run the stage at some scheduled checkpoints (0 for all) and those of a folder, and return its table."""
    output = split.parent / f"updates-{steps}-{onset}.parquet"
    track_updates.main(split, split.parent / onset, "tiny", to_json(TRAINED), steps, "cpu", output)
    return tables.read(output, UPDATES)


@pytest.fixture(scope="module")
def rows(split: Path) -> pd.DataFrame:
    return tracked(split)


def test_there_is_a_row_for_every_replica_checkpoint_layer_and_neuron(rows: pd.DataFrame) -> None:
    steps = TRAINED.schedule.checkpoints.steps(30)
    assert len(rows) == 2 * len(steps) * 2 * 12
    assert not rows.duplicated(list(UPDATES.key)).any()
    assert sorted(rows["step"].unique()) == steps
    assert set(rows["replica"]) == set(REPLICAS)
    assert set(rows["condition"]) == {"tiny"}


def test_saliency_breadth_and_liveness_agree_with_the_saliency_table(split: Path, rows: pd.DataFrame) -> None:
    questions = SaliencySettings(methods=["activation_gradient"], sites=["mlp"]).as_option()
    files = {"output": split.parent / "saliency.parquet", "attribution": split.parent / "attribution.parquet"}
    extract_saliency.main(split, "tiny", questions, steps=0, events="", device="cpu", **files)
    saliency = tables.read(files["output"], SALIENCY)
    saliency = saliency[
        (saliency["split"] == "train")
        & (saliency["target"] == "right_minus_mean")
        & (saliency["normalisation"] == "raw")
    ]
    key = list(UPDATES.key)
    expected = saliency.set_index(key).loc[pd.MultiIndex.from_frame(rows[key])]
    np.testing.assert_allclose(rows["saliency"], expected["mean_magnitude"], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(rows["breadth"], expected["breadth"], rtol=1e-5, atol=1e-9)
    assert (rows["alive"].to_numpy() == expected["alive"].to_numpy()).all()


def test_shares_lie_between_0_and_1_and_norms_are_not_negative(rows: pd.DataFrame) -> None:
    assert rows["generality"].between(0, 1).all()
    assert rows["breadth"].between(0, 1 + 1e-6).all()
    for name in ("coherence", "shuffled_coherence"):
        assert rows[name].dropna().between(0, 15 * (1 + 1e-5)).all()
    assert (rows[["gsnr", "shuffled_gsnr", "gradient_norm", "weight_norm"]].fillna(0) >= 0).all(axis=None)
    assert rows[NUMBERS].notna().mean().min() > 0.5


def test_only_the_last_checkpoint_has_no_change_until_the_next(rows: pd.DataFrame) -> None:
    is_last = rows["step"] == 30
    for name in ("update_norm", "decay_norm"):
        assert (rows[name].isna() == is_last).all()


def test_fewer_checkpoints_differ_only_in_the_change_until_the_next(split: Path, rows: pd.DataFrame) -> None:
    fewer = tracked(split, steps=3)
    steps = sorted(fewer["step"].unique())
    assert (len(steps), steps[0], steps[-1]) == (3, 0, 30)
    same = rows[rows["step"].isin(steps)].reset_index(drop=True)
    changes = ["update_norm", "decay_norm"]
    pd.testing.assert_frame_equal(fewer.drop(columns=changes), same.drop(columns=changes))
    change = fewer.loc[fewer["step"] < 30, changes].to_numpy()
    assert (change[:, 1] >= same.loc[same["step"] < 30, "decay_norm"].to_numpy()).all()  # over more steps


def test_equal_jobs_write_equal_bytes_with_the_metadata_of_the_split(
    split: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    again = tmp_path / "updates.parquet"
    track_updates.main(split, split.parent / "none", "tiny", to_json(TRAINED), 0, "cpu", again)
    assert again.read_bytes() == (split.parent / "updates-0-none.parquet").read_bytes()
    assert tables.read_metadata(again) == tables.read_metadata(split)


def test_checkpoints_around_an_onset_are_merged_with_the_scheduled_ones(split: Path, rows: pd.DataFrame) -> None:
    merged = tracked(split, steps=2, onset="all")
    assert set(merged.loc[merged["is_scheduled"], "step"]) == {0, 30}
    assert merged["around_onset"].all()
    assert rows["is_scheduled"].all()
    flags = ["is_scheduled", "around_onset"]
    pd.testing.assert_frame_equal(merged.drop(columns=flags), rows.drop(columns=flags))
