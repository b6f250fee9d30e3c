"""Replays of a finished block: steps trained again from a state or from the seed have equal bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import condition
from jobs import Job, finish
from safetensors.torch import load_file

from general_circuits.storage import tables
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.training.schedule import Schedule, Spacing
from general_circuits.training.settings import Condition

STEPS = 1700
SHORT = Schedule(600, checkpoints=Spacing(log=3, every=50), metrics=Spacing(log=10, every=25))
SETTINGS = {
    "adamw in batches": {},
    "full batch": {"batch_size": "full"},
    "sgd with momentum": {"optimiser": "sgd", "decay": "coupled", "momentum": 0.9, "weight_decay": 1e-3},
}


def settings(checkpoints: int = 100, metrics: int = 50, **changes: object) -> Condition:
    spacings = Spacing(log=3, every=checkpoints), Spacing(log=10, every=metrics)
    return condition(STEPS, *spacings, **changes)


@pytest.fixture(scope="module")
def finished(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Job]:
    """Function that returns a finished job by its kind of training. The jobs are not to be changed."""
    jobs: dict[str, Job] = {}

    def get(kind: str) -> Job:
        if kind not in jobs:
            jobs[kind] = Job(inputs, tmp_path_factory.mktemp("finished"), settings(**SETTINGS[kind]))
            assert jobs[kind].finish() == 0, jobs[kind].log()
        return jobs[kind]

    return get


@dataclass(frozen=True)
class Replay:
    """A finished replay: its exit status, its log and its folder."""

    status: int
    log: str
    folder: Path

    @property
    def metrics(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "metrics.parquet")


def replay(job: Job, folder: Path, first: int, last: int, checkpoints: int = 50, metrics: int = 10) -> Replay:
    options = {**job.again(), "finished": job.metrics}
    options |= {"first": first, "last": last, "metrics": folder / "metrics.parquet"}
    options |= {"checkpoints_every": checkpoints, "metrics_every": metrics}
    log = folder.with_suffix(".log")
    return Replay(finish("replay_block", options, log), log.read_text(), folder)


def assert_equal_at_common_steps(replayed: Path, expected: Path, n_rows: int, n_checkpoints: int) -> None:
    """Assert that two folders have equal bits at the steps that both observed.

    Args:
        replayed, expected: the folders.
        n_rows: expected number of common rows of metrics, per replica and split.
        n_checkpoints: expected number of common checkpoints per replica.
    """
    names = sorted(path.name for path in expected.glob("weights-*"))
    assert names == sorted(path.name for path in replayed.glob("weights-*")) != []
    key = ["condition", "replica", "step", "split"]
    mine, theirs = (pd.read_parquet(folder / "metrics.parquet").set_index(key) for folder in (replayed, expected))
    common = mine.index.intersection(theirs.index)
    assert len(common) == len(names) * len(mine.index.unique("split")) * n_rows
    numbers = [column for column in mine if column != "diverged"]
    for column in numbers:
        bits = [frame.loc[common, column].to_numpy().tobytes() for frame in (mine, theirs)]
        assert bits[0] == bits[1], column
    assert mine.loc[common, "diverged"].equals(theirs.loc[common, "diverged"])
    for name in names:
        mine, theirs = (load_file(folder / name) for folder in (replayed, expected))
        assert mine.keys() == theirs.keys()
        steps = sorted(set(mine["steps"].tolist()) & set(theirs["steps"].tolist()))
        assert len(steps) == n_checkpoints
        places = [[weights["steps"].tolist().index(step) for step in steps] for weights in (mine, theirs)]
        for weight in mine.keys() - {"steps"}:
            assert torch.equal(mine[weight][places[0]], theirs[weight][places[1]]), weight


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(
    ("first", "last", "start", "n_rows", "n_checkpoints"),
    [
        pytest.param(1100, 1400, "the state at step 1,000", 7, 4, id="from a middle state"),
        pytest.param(1501, 1700, "the state at step 1,500", 1, 1, id="one after a state, to the end"),
        pytest.param(1500, 1700, "the state at step 1,400", 5, 3, id="a step that is a state"),
        pytest.param(0, 100, "its seed", 3, 2, id="from step 0"),
        pytest.param(1700, 1700, "the state at step 1,600", 1, 1, id="the last step alone"),
    ],
)
def test_replayed_steps_have_the_bytes_of_the_run(
    kind, first, last, start, n_rows, n_checkpoints, finished: Callable[[str], Job], tmp_path: Path
) -> None:
    job = finished(kind)
    before = {**job.kept(), **job.results()}
    replayed = replay(job, tmp_path / "replay", first, last, checkpoints=100, metrics=50)
    assert replayed.status == 0, replayed.log
    assert replayed.log == f"tiny, replica 0: replays from {start}\n"
    steps = sorted({*range(first, last, 50), last})
    assert sorted(replayed.metrics["step"].unique()) == steps
    observed = {step for step in job.settings.schedule.metrics.steps(STEPS) if step in steps}
    kept = {step for step in job.settings.schedule.checkpoints.steps(STEPS) if step in {*range(first, last, 100), last}}
    assert (len(observed), len(kept)) == (n_rows, n_checkpoints)
    assert_equal_at_common_steps(replayed.folder, job.run, n_rows, n_checkpoints)
    assert {**job.kept(), **job.results()} == before


def test_a_run_can_be_replayed_from_its_first_to_its_last_step(inputs: Path, tmp_path: Path) -> None:
    job = Job(inputs, tmp_path / "job", replace(settings(), schedule=SHORT))
    assert job.finish() == 0, job.log()
    replayed = replay(job, tmp_path / "replay", 0, 600, checkpoints=1, metrics=1)
    assert replayed.status == 0, replayed.log
    observed, kept = (spacing.steps(600) for spacing in (SHORT.metrics, SHORT.checkpoints))
    assert_equal_at_common_steps(replayed.folder, job.run, len(observed), len(kept))


def test_without_states_every_replica_is_replayed_from_its_seed(two_replicas: Path, tmp_path: Path) -> None:
    job = Job(two_replicas, tmp_path / "job", replace(settings(), schedule=SHORT), keep=0)
    assert job.finish() == 0, job.log()
    assert job.kept() == {}
    replayed = replay(job, tmp_path / "replay", 550, 600, checkpoints=50, metrics=25)
    assert replayed.status == 0, replayed.log
    assert replayed.log == "".join(f"tiny, replica {replica}: replays from its seed\n" for replica in (0, 1))
    assert_equal_at_common_steps(replayed.folder, job.run, 3, 2)


def test_states_of_other_code_are_not_replayed_from(finished: Callable[[str], Job], tmp_path: Path) -> None:
    job = finished("adamw in batches")
    replayed = replay(replace(job, code="0ther"), tmp_path / "replay", 1600, 1700)
    assert replayed.status == 0, replayed.log
    assert replayed.log == "tiny, replica 0: replays from its seed\n"
    assert job.state_files() != []


def test_a_replay_at_closer_steps_equals_a_run_that_observed_these_steps(
    finished: Callable[[str], Job], inputs: Path, tmp_path: Path
) -> None:
    closely = Job(inputs, tmp_path / "closely", settings(checkpoints=50, metrics=10))
    assert closely.finish() == 0, closely.log()
    replayed = replay(finished("adamw in batches"), tmp_path / "replay", 1150, 1350, checkpoints=50, metrics=10)
    assert replayed.status == 0, replayed.log
    assert_equal_at_common_steps(replayed.folder, closely.run, 21, 5)


def test_two_equal_replays_have_the_same_bytes(finished: Callable[[str], Job], tmp_path: Path) -> None:
    job = finished("adamw in batches")
    files = []
    for name in ("once", "twice"):
        replayed = replay(job, tmp_path / name, 1250, 1300)
        assert replayed.status == 0, replayed.log
        files.append({path.name: path.read_bytes() for path in replayed.folder.iterdir()})
    assert files[0] == files[1]
    assert files[0].keys() == {"metrics.parquet", "weights-0.safetensors"}


@pytest.mark.parametrize(("first", "last"), [(0, 1701), (-1, 10), (1800, 1900), (300, 200)])
def test_steps_outside_the_run_are_refused_before_training(
    first: int, last: int, finished: Callable[[str], Job], tmp_path: Path
) -> None:
    replayed = replay(finished("adamw in batches"), tmp_path / "replay", first, last)
    assert replayed.status == 1
    assert replayed.log == f"steps {first} to {last}: should be within the 1700 steps of tiny\n"
    assert not replayed.folder.exists()


@pytest.mark.parametrize("spacing", [{"checkpoints": 0}, {"metrics": 0}])
def test_a_spacing_of_zero_steps_is_refused_without_a_traceback(
    spacing: dict[str, int], finished: Callable[[str], Job], tmp_path: Path
) -> None:
    replayed = replay(finished("adamw in batches"), tmp_path / "replay", 0, 100, **spacing)
    assert replayed.status != 0
    assert "Traceback" not in replayed.log
    assert not replayed.folder.exists()


def test_a_damaged_state_is_reported_and_the_state_before_it_used(
    finished: Callable[[str], Job], tmp_path: Path
) -> None:
    job = finished("adamw in batches").copy(tmp_path / "job")
    (path,) = (path for path in job.state_files() if "-000001000-" in path.name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 128
    path.write_bytes(content)
    replayed = replay(job, tmp_path / "replay", 1100, 1200, checkpoints=100, metrics=50)
    assert replayed.status == 0, replayed.log
    assert f"tiny, replica 0: {path}: truncated or altered" in replayed.log
    assert replayed.log.endswith("tiny, replica 0: replays from the state at step 900\n")
    assert_equal_at_common_steps(replayed.folder, job.run, 3, 2)
    assert path.read_bytes() == content


def test_a_run_that_diverged_before_the_first_replayed_step_stays_flagged(
    finished: Callable[[str], Job], tmp_path: Path
) -> None:
    job = finished("adamw in batches")
    assert not replay(job, tmp_path / "before", 1250, 1300).metrics["diverged"].any()
    lost = Job(job.inputs, job.folder, job.settings, places={"run": tmp_path / "lost"})
    metrics = tables.read(job.metrics, METRICS)
    tables.write(lost.metrics, METRICS, metrics.assign(diverged=metrics["step"] >= 500))
    assert replay(lost, tmp_path / "after", 1250, 1300).metrics["diverged"].all()
