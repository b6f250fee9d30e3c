"""Progress measures, from a task to tables, around an onset too, with settings that take seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from builders import condition
from safetensors.torch import load_file

from general_circuits.records import to_json
from general_circuits.stages import generate_task, measure_progress, replay_block, split_examples, train_block
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

STEPS, ONSET = 40, 23
NAMES = ("progress", "structure", "matrices", "spectrum", "reinforcement")


def setting() -> Condition:
    return condition(STEPS, Spacing(2, 10), Spacing(2, 10))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two replicas: trained, and replayed around the onset that only the first one has."""
    made = tmp_path_factory.mktemp("progress")
    generate_task.main(to_json(setting().task), made / "task.parquet")
    drawn = {"condition": "tiny", "first_seed": 0, "block": 0, "replicas": 2}
    split_examples.main(made / "task.parquet", to_json(setting().split), output=made / "split.parquet", **drawn)
    block = {"split": made / "split.parquet", "condition": "tiny", "settings": to_json(setting()), "device": "cpu"}
    block["states"], metrics = made / "states", made / "metrics.parquet"
    no_branch = {"branch": "", "parent": Path(), "parent_states": Path(), "parent_code": "", "as_kicked": ""}
    train_block.main(train_block.Training(**block, **no_branch, code="c0de", keep_states=8, metrics=metrics))
    events = pd.DataFrame({"condition": "tiny", "replica": [0, 1], "event": "onset"})
    events = events.assign(after=[ONSET - 1, STEPS], step=[ONSET, STEPS], censored=[False, True])
    tables.write(made / "events.parquet", EVENTS, events)
    replay_block.main(
        replay_block.Replay(
            **block,
            finished=metrics,
            training_code="c0de",
            events=str(made / "events.parquet"),
            first=-6,
            last=20,
            checkpoints_every=3,
            metrics_every=3,
            metrics=made / "onset/metrics.parquet",
        )
    )
    return made


def measured(folder: Path, output: Path) -> dict[str, pd.DataFrame]:
    """Run the stage at four checkpoints, with three examples at two of them, and return its tables by name."""
    measure_progress.main(
        measure_progress.Progress(
            split=folder / "split.parquet",
            onset=str(folder / "onset"),
            condition="tiny",
            settings=to_json(setting()),
            steps=4,
            examples=3,
            examples_steps=2,
            general_at="last",
            device="cpu",
            output=output / "0.parquet",
        )
    )
    files = {name: output / ("0.parquet" if name == "progress" else f"0-{name}.parquet") for name in NAMES}
    return {name: tables.read(file, registry.table(name)) for name, file in files.items()}


def test_only_the_replica_with_an_onset_is_replayed_until_training_ended(folder: Path) -> None:
    replayed, none = (load_file(folder / f"onset/weights-{position}.safetensors") for position in (0, 1))
    around = [*range(ONSET - 6, STEPS, 3)]
    assert replayed["steps"].tolist() == around
    assert none["steps"].tolist() == []
    assert set(pd.read_parquet(folder / "onset/metrics.parquet")["replica"]) == {0}
    trained = load_file(folder / "weights-0.safetensors")
    place, other = around.index(20), trained["steps"].tolist().index(20)
    for name in trained.keys() - {"steps"}:
        assert (replayed[name][place] == trained[name][other]).all()


def test_every_checkpoint_has_rows_flagged_as_scheduled_or_around_onset(folder: Path, tmp_path: Path) -> None:
    frames = measured(folder, tmp_path)
    for name in ("progress", "structure", "matrices", "spectrum"):
        rows = frames[name]
        scheduled = rows[rows["is_scheduled"]].groupby("replica")["step"].unique()
        assert all(len(steps) == 4 for steps in scheduled)
        around = rows[rows["around_onset"]]
        assert set(around["replica"]) == {0}
        assert set(around["step"]) == {*range(ONSET - 6, STEPS, 3)}
        assert (rows["is_scheduled"] | rows["around_onset"]).all()
    of_examples = frames["reinforcement"].groupby(["replica", "step"]).size()
    assert (of_examples == 3).all()
    assert len(of_examples) == 4
    assert set(frames["matrices"]["weight"]) == {*load_file(folder / "weights-0.safetensors")} - {"steps"}
    assert set(frames["spectrum"]["frequency"]) == {1, 2}


def test_the_parts_of_the_margin_and_of_the_gradient_add_up_to_the_whole(folder: Path, tmp_path: Path) -> None:
    progress = measured(folder, tmp_path)["progress"]
    wide = progress.pivot(index=["replica", "step", "split"], columns="component", values="part_of_margin")
    assert (wide["restricted"] + wide["excluded"] - wide["all"]).abs().max() < 1e-5
    train = progress[progress["split"] == "train"]
    shares = train.pivot(index=["replica", "step"], columns="component", values="gradient_share")
    assert (shares["restricted"] + shares["excluded"] - 1).abs().max() < 1e-5


def test_progress_that_is_measured_again_has_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        measured(folder, tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
