"""Updates of neurons between the checkpoints of a trained block, compared with the saliency table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import MODULUS, condition, model_settings, split_settings
from replays import write_moments, write_weights
from runs import EVERY_STEP

from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.config.measurements import SaliencySettings
from general_circuits.devices import set_up
from general_circuits.records import to_json
from general_circuits.stages import extract_saliency, generate_task, split_examples, track_updates
from general_circuits.storage import tables
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
    """The split of a block of two replicas, with the weights of both and three replays beside it."""
    folder = tmp_path_factory.mktemp("block")
    generate_task.main(to_json(Modular(("x+y",), MODULUS)), folder / "task.parquet")
    drawn = {"first_seed": REPLICAS[0], "block": 0, "replicas": len(REPLICAS), "output": folder / "split.parquet"}
    split_examples.main(folder / "task.parquet", to_json(split_settings()), "tiny", **drawn)
    block = Block(folder / "split.parquet", set_up("cpu"))
    trained = replace(TRAINED, schedule=replace(TRAINED.schedule, checkpoints=EVERY_STEP, metrics=EVERY_STEP))
    runs = {
        replica: loop.train(trained, examples, block.vocabulary, replica) for _, replica, examples in block.replicas()
    }
    scheduled = TRAINED.schedule.checkpoints.steps(30)
    write_weights(folder, runs, scheduled)
    write_moments(folder / "none.parquet", runs, {})
    write_moments(folder / "all.parquet", runs, {replica: {AROUND_ONSET: scheduled} for replica in REPLICAS})
    write_moments(folder / "some.parquet", runs, {3: {"baseline": [5], "late_end": [30], AROUND_ONSET: [7, 9]}})
    return folder / "split.parquet"


def tracked(split: Path, steps: int = 0, moments: str = "none") -> pd.DataFrame:
    """Run the stage at some scheduled checkpoints (0 for all) and at the steps of a replay, and return its table."""
    output = split.parent / f"updates-{steps}-{moments}.parquet"
    replayed = str(split.parent / f"{moments}.parquet") if moments else ""
    track_updates.main(split, replayed, "tiny", to_json(TRAINED), steps, "cpu", output)
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
    told = {"split": split, "condition": "tiny", "questions": questions}
    extract_saliency.main(extract_saliency.Extraction(**told, moments="", steps=0, reads="all", device="cpu", **files))
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
    track_updates.main(split, str(split.parent / "none.parquet"), "tiny", to_json(TRAINED), 0, "cpu", again)
    assert again.read_bytes() == (split.parent / "updates-0-none.parquet").read_bytes()
    assert tables.inherited(again) == tables.inherited(split)


def test_checkpoints_around_an_onset_are_merged_with_the_scheduled_ones(split: Path, rows: pd.DataFrame) -> None:
    merged = tracked(split, steps=2, moments="all")
    assert set(merged.loc[merged["is_scheduled"], "step"]) == {0, 30}
    assert merged["around_onset"].all()
    assert rows["is_scheduled"].all()
    flags = ["is_scheduled", "around_onset"]
    pd.testing.assert_frame_equal(merged.drop(columns=flags), rows.drop(columns=flags))


def test_without_a_replay_the_scheduled_checkpoints_are_measured_alone(split: Path, rows: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(tracked(split, moments=""), rows)


def test_moments_are_measured_and_flagged_only_where_they_lie_around_the_onset(split: Path) -> None:
    steps = tracked(split, steps=2, moments="some").groupby("replica")[["step", "is_scheduled", "around_onset"]]
    found = {replica: sorted({tuple(row) for row in flags.to_numpy().tolist()}) for replica, flags in steps}
    assert found == {
        3: [(0, True, False), (5, False, False), (7, False, True), (9, False, True), (30, True, False)],
        4: [(0, True, False), (30, True, False)],
    }
