"""Progress measures, from a task to tables, at moments and around an onset too, with settings that take seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from builders import condition
from safetensors.torch import load_file

from general_circuits.records import to_json
from general_circuits.stages import generate_task, measure_progress, replay_moments, split_examples, train_block
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

STEPS, MEMORISED, ONSET = 40, 15, 23
NAMES = ("progress", "structure", "matrices", "spectrum", "reinforcement")


def setting() -> Condition:
    return condition(STEPS, Spacing(2, 10), Spacing(2, 10))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A block of two replicas: trained, and replayed to moments that only the first one has."""
    made = tmp_path_factory.mktemp("progress")
    generate_task.main(to_json(setting().task), made / "task.parquet")
    drawn = {"condition": "tiny", "first_seed": 0, "block": 0, "replicas": 2}
    split_examples.main(made / "task.parquet", to_json(setting().split), output=made / "split.parquet", **drawn)
    block = {"split": made / "split.parquet", "condition": "tiny", "settings": to_json(setting()), "device": "cpu"}
    block["states"], metrics = made / "states", made / "metrics.parquet"
    no_branch = {"branch": "", "parent": Path(), "parent_states": Path(), "parent_code": ""}
    no_branch |= {"as_kicked": "", "partner": ""}
    train_block.main(train_block.Training(**block, **no_branch, code="c0de", keep_states=8, metrics=metrics))
    happened = {"memorised": [MEMORISED, None], "onset": [ONSET, None], "generalised": [None, None]}
    rows = [("tiny", i, event, steps[i] or STEPS, not steps[i]) for event, steps in happened.items() for i in (0, 1)]
    events = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    tables.write(made / "events.parquet", EVENTS, events.assign(after=events["step"]).sort_values(["replica", "event"]))
    replay_moments.main(
        replay_moments.Moments(
            **block,
            training_code="c0de",
            events=made / "events.parquet",
            partner=made / "events.parquet",
            before=6,
            after=20,
            every=3,
            output=made / "moments.parquet",
        )
    )
    return made


def measured(folder: Path, output: Path) -> dict[str, pd.DataFrame]:
    """Run the stage at four checkpoints, with three examples at two of them, and return its tables by name."""
    measure_progress.main(
        measure_progress.Progress(
            split=folder / "split.parquet",
            moments=str(folder / "moments.parquet"),
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


def test_checkpoints_are_scheduled_or_around_onset_or_other_moments(folder: Path, tmp_path: Path) -> None:
    frames = measured(folder, tmp_path)
    for name in ("progress", "structure", "matrices", "spectrum"):
        rows = frames[name]
        scheduled = rows[rows["is_scheduled"]].groupby("replica")["step"].unique()
        assert all(len(steps) == 4 for steps in scheduled)
        around = rows[rows["around_onset"]]
        assert set(around["replica"]) == {0}
        assert set(around["step"]) == {*range(ONSET - 6, STEPS, 3)}
        others = rows[~rows["is_scheduled"] & ~rows["around_onset"]]
        assert set(others["replica"]) == {0}
        assert set(others["step"]) == {MEMORISED}
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
