"""Saliency and damage are measured at scheduled checkpoints and at moments, however few of the former are chosen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from builders import MODULUS, condition, split_settings
from replays import write_moments, write_weights
from runs import EVERY_STEP

from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.config.measurements import AblationSettings, SaliencySettings
from general_circuits.devices import set_up
from general_circuits.records import to_json
from general_circuits.stages import ablate_neurons, extract_saliency, generate_task, split_examples
from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.ablation import TABLE as ABLATION
from general_circuits.storage.schemas.attribution import TABLE as ATTRIBUTION
from general_circuits.storage.schemas.damage import TABLE as DAMAGE
from general_circuits.storage.schemas.moments import TABLE as MOMENTS
from general_circuits.storage.schemas.saliency import TABLE as SALIENCY
from general_circuits.tasks.modular import Modular
from general_circuits.training import loop

STEPS, SCHEDULED = 40, [0, 10, 20, 30, 40]
MOMENTS_OF = {
    "baseline": [7],
    "memorised": [7],
    "onset": [15],
    "generalised": [22],
    "before": [8],
    "after": [29],
    "late_end": [33],
    AROUND_ONSET: [13, 17],
}
"""Moments of replica 3. Replica 4 never memorised."""
AT_MOMENTS = [7, 8, 15, 22, 29, 33]
"""Steps of its moments. Steps around its onset are read by progress and updates alone."""
QUESTIONS = SaliencySettings(methods=["activation_gradient"], sites=["mlp"]).as_option()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split of a block of two replicas, with the weights of both and a replay beside it."""
    folder = tmp_path_factory.mktemp("block")
    generate_task.main(to_json(Modular(("x+y",), MODULUS)), folder / "task.parquet")
    drawn = {"first_seed": 3, "block": 0, "replicas": 2, "output": folder / "split.parquet"}
    split_examples.main(folder / "task.parquet", to_json(split_settings()), "tiny", **drawn)
    block, setting = Block(folder / "split.parquet", set_up("cpu")), condition(STEPS, EVERY_STEP, EVERY_STEP)
    runs = {
        replica: loop.train(setting, examples, block.vocabulary, replica) for _, replica, examples in block.replicas()
    }
    write_weights(folder, runs, SCHEDULED)
    write_moments(folder / "moments.parquet", runs, {3: MOMENTS_OF})
    return folder / "split.parquet"


def steps_of(table: pd.DataFrame) -> dict[int, list[int]]:
    return {int(replica): sorted(steps.unique().tolist()) for replica, steps in table.groupby("replica")["step"]}


def saliency(split: Path, steps: int = 0, reads: str = "all", has_moments: bool = True) -> Path:
    """Run the stage, and return the path of its table of neurons."""
    folder = split.parent / f"{steps}-{reads}-{has_moments}"
    files = {"output": folder / "saliency.parquet", "attribution": folder / "attribution.parquet"}
    moments = str(split.with_name("moments.parquet")) if has_moments else ""
    told = {"condition": "tiny", "questions": QUESTIONS, "steps": steps, "reads": reads, "device": "cpu"}
    extract_saliency.main(extract_saliency.Extraction(split=split, moments=moments, **told, **files))
    table = tables.read(files["output"], SALIENCY)
    assert steps_of(tables.read(files["attribution"], ATTRIBUTION)) == steps_of(table)
    return files["output"]


@pytest.mark.parametrize(("steps", "scheduled"), [(0, SCHEDULED), (2, [0, 40])])
def test_saliency_is_measured_at_scheduled_steps_and_at_moments(steps: int, scheduled: list[int], split: Path) -> None:
    table = tables.read(saliency(split, steps), SALIENCY)
    assert steps_of(table) == {3: sorted([*scheduled, *AT_MOMENTS]), 4: scheduled}


def test_saliency_at_scheduled_steps_is_the_same_with_and_without_moments(split: Path) -> None:
    both, alone = (tables.read(saliency(split, has_moments=has), SALIENCY) for has in (True, False))
    assert steps_of(alone) == {3: SCHEDULED, 4: SCHEDULED}
    pd.testing.assert_frame_equal(both[both["step"].isin(SCHEDULED)].reset_index(drop=True), alone)


def test_specification_curves_measure_the_baseline_and_the_late_window_alone(split: Path) -> None:
    """A replica that never memorised has its last step, so that its rows show that it was measured."""
    table = tables.read(saliency(split, reads="claims"), SALIENCY)
    assert steps_of(table) == {3: [7, 22, 29, 30, 33], 4: [40]}
    key = list(SALIENCY.key)
    every = tables.read(saliency(split), SALIENCY).set_index(key)
    pd.testing.assert_frame_equal(table.set_index(key), every.loc[pd.MultiIndex.from_frame(table[key])])


def test_specification_curves_of_a_condition_without_moments_measure_its_last_step(split: Path) -> None:
    table = tables.read(saliency(split, reads="claims", has_moments=False), SALIENCY)
    assert steps_of(table) == {3: [40], 4: [40]}


def deletions(split: Path, checkpoints: int | str, ranked: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the stage, and return its tables of curves and of damage."""
    settings = AblationSettings(k_points=2, random_draws=2, checkpoints=checkpoints)
    files = {name: ranked.with_name(f"{checkpoints}-{name}.parquet") for name in ("ablation", "damage")}
    moments = str(split.with_name("moments.parquet"))
    told = {"condition": "tiny", "deletions": settings.as_option("registered"), "device": "cpu"}
    ablate_neurons.main(ablate_neurons.Ablation(split=split, moments=moments, saliency=ranked, **told, **files))
    return tables.read(files["ablation"], ABLATION), tables.read(files["damage"], DAMAGE)


@pytest.mark.parametrize(("checkpoints", "scheduled"), [("all", SCHEDULED), (2, [0, 40]), (1, [40])])
def test_damage_is_measured_at_all_moments_however_few_checkpoints_are_chosen(
    checkpoints: int | str, scheduled: list[int], split: Path
) -> None:
    for table in deletions(split, checkpoints, saliency(split)):
        assert steps_of(table) == {3: sorted([*scheduled, *AT_MOMENTS]), 4: scheduled}


def test_accuracy_with_no_neuron_deleted_is_that_of_the_table_of_moments(split: Path) -> None:
    curves, _ = deletions(split, 1, saliency(split))
    whole = curves[(curves["k"] == 0) & (curves["split"] == "train") & (curves["replica"] == 3)]
    accuracy = whole.groupby("step")["accuracy"].agg(["min", "max"])
    moments = tables.read(split.with_name("moments.parquet"), MOMENTS).set_index("step")["train_accuracy"]
    for step in AT_MOMENTS:
        assert accuracy.loc[step].tolist() == pytest.approx([moments.loc[[step]].iloc[0]] * 2)
