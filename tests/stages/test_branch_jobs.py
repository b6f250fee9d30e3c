"""Jobs of branches: a branch that changes nothing has its parent's bytes, and without the event there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import branch_of, condition
from jobs import Job, wait_until
from safetensors.torch import load_file

from general_circuits.storage import tables
from general_circuits.storage.schemas import registry as schemas
from general_circuits.training.schedule import Spacing
from general_circuits.training.settings import Condition

STEPS = 1700
NAMES = ["condition", "split", "diverged"]
KINDS: dict[str, dict[str, object]] = {
    "adamw in batches": {},
    "noise and grokfast": {"gradient_noise": 0.01, "grokfast_lambda": 1.0},
}
"""Kinds of training tested here. tests/training/test_branch.py tests every update rule, in one process."""


def settings(**changes: object) -> Condition:
    return condition(STEPS, Spacing(log=3, every=200), Spacing(log=10, every=50), **changes)


@pytest.fixture(scope="module")
def parent_of(two_replicas: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Job]:
    """Function that returns a finished job of two replicas, with its events, by its kind of training.

    The jobs are not to be changed.
    """
    jobs: dict[str, Job] = {}

    def get(kind: str) -> Job:
        if kind not in jobs:
            job = Job(two_replicas, tmp_path_factory.mktemp("parent"), settings(**KINDS[kind]), keep=2)
            assert job.finish() == 0, job.log()
            # In a study, split, metrics and events lie in one folder.
            (job.run / "split.parquet").write_bytes((two_replicas / "split.parquet").read_bytes())
            job.find_events()
            jobs[kind] = replace(job, inputs=job.run)
        return jobs[kind]

    return get


def branch(parent: Job, folder: Path, at: str, condition: Condition | None = None, **changes: object) -> Job:
    """Return a branch of a finished job, not yet started."""
    continued = branch_of(parent.settings, at, **changes)
    return Job(parent.inputs, folder, condition or parent.settings, branch=continued, parent=parent)


def finished(job: Job) -> Job:
    """Run a job to its end, and return it."""
    assert job.finish() == 0, job.log()
    return job


def rows_of(job: Job, replica: int, first: int = 0) -> pd.DataFrame:
    """Return the metrics of one replica from a step on."""
    frame = pd.read_parquet(job.metrics)
    return frame[(frame["replica"] == replica) & (frame["step"] >= first)].reset_index(drop=True)


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        *(("adamw in batches", at) for at in ("step 0", "step 437", "step 1000", "memorised")),
        ("noise and grokfast", "step 437"),
    ],
)
def test_a_branch_that_changes_nothing_has_its_parents_bytes(
    kind: str, at: str, parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    """Metrics at every later step and all later weights are equal, whether the branch lasts or returns."""
    parent = parent_of(kind)
    before = {**parent.kept(), **parent.results()}
    for name, changes in {"to the end": {}, "for a while": {"lasts": 300}}.items():
        job = finished(branch(parent, tmp_path / name, at, **changes))
        events = job.find_events()
        left = events[events["event"] == "branched"]
        assert not left["censored"].any()
        for position, (replica, step) in enumerate(zip(left["replica"], left["step"], strict=True)):
            ours, theirs = rows_of(job, replica), rows_of(parent, replica, step)
            assert ours["step"].min() == step
            later = ours[ours["step"].isin(theirs["step"])].reset_index(drop=True)
            assert len(later) == len(theirs) > 20
            assert later[NAMES].equals(theirs[NAMES].reset_index(drop=True))
            for column in theirs.columns.difference(NAMES):
                assert later[column].to_numpy().tobytes() == theirs[column].to_numpy().tobytes(), column
            mine, parents = (load_file(of.run / f"weights-{position}.safetensors") for of in (job, parent))
            places = {step: i for i, step in enumerate(parents["steps"].tolist())}
            for i, at_step in enumerate(mine["steps"].tolist()):
                for weight in mine.keys() - {"steps"} if at_step in places else ():
                    assert torch.equal(mine[weight][i], parents[weight][places[at_step]]), (weight, at_step)
            assert mine["steps"][-1] == STEPS
    assert {**parent.kept(), **parent.results()} == before, "its parent was touched"


def test_a_replica_whose_event_never_came_has_no_rows_and_only_censored_events(
    parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    parent = parent_of("adamw in batches")
    events = pd.read_parquet(parent.run / "events.parquet")
    events["censored"] |= (events["event"] == "memorised") & (events["replica"] == 1)
    copied = parent.copy(tmp_path / "parent")
    write_like(parent.run / "events.parquet", copied.run / "events.parquet", events)
    job = finished(branch(replace(copied, inputs=copied.run), tmp_path / "branch", "memorised"))
    assert "replica 1: its parent never reached memorised: there is no branch" in job.log()
    assert set(pd.read_parquet(job.metrics)["replica"]) == {0}
    of_branch = job.find_events()
    never = of_branch[of_branch["replica"] == 1]
    assert never["censored"].all()
    assert set(never["step"]) == {STEPS}
    assert set(never["event"]) == set(of_branch.loc[of_branch["replica"] == 0, "event"])
    empty = load_file(job.run / "weights-1.safetensors")
    assert [len(tensor) for tensor in empty.values()] == [0] * len(empty)


@pytest.mark.parametrize("stop_at", [1000, 1500], ids=["changed", "after it went back"])
def test_a_killed_branch_goes_on_to_the_same_bytes(
    stop_at: int, parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    """The branch has a mask and noise, and it may be killed in the middle of annealing."""
    parent = parent_of("adamw in batches")
    changed = replace(
        parent.settings, optimiser=replace(parent.settings.optimiser, learning_rate=0.03, batch_size="full")
    )
    how = {"lasts": 900, "then": "anneal", "mask": 0.3, "batch_noise": 4}
    undisturbed = finished(branch(parent, tmp_path / "undisturbed", "step 437", changed, **how))
    job = branch(parent, tmp_path / "killed", "step 437", changed, **how)
    process = job.start()
    assert wait_until(lambda: job.last_step() >= stop_at, process), job.log()
    process.kill()
    process.join()
    finished(job)
    assert "goes on from step" in job.log()
    assert job.results() == undisturbed.results()


def test_a_branch_that_stops_early_has_the_bytes_of_the_full_branch(
    parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    """The last step may lie between two steps of the schedule."""
    parent = parent_of("adamw in batches")
    full = finished(branch(parent, tmp_path / "full", "step 437"))
    job = finished(branch(parent, tmp_path / "stopped", "step 437", lasts=330, then="stop"))
    ours, theirs = rows_of(job, 0), rows_of(full, 0)
    assert ours["step"].max() == 767
    common = theirs["step"] < 767
    pd.testing.assert_frame_equal(ours[ours["step"] < 767], theirs[common].reset_index(drop=True), check_exact=True)
    assert load_file(job.run / "weights-0.safetensors")["steps"].tolist() == [437, 600, 767]


def test_a_kick_lowers_accuracy_as_far_as_another_branch(parent_of: Callable[[str], Job], tmp_path: Path) -> None:
    """The accuracies differ by at most one of the 15 training examples: kicks change one answer at a time."""
    parent = parent_of("adamw in batches")
    fast = replace(parent.settings, optimiser=replace(parent.settings.optimiser, learning_rate=0.3))
    other = finished(branch(parent, tmp_path / "fast", "memorised", fast))
    job = branch(parent, tmp_path / "kicked", "memorised", kick="fast")
    finished(replace(job, as_kicked=other))
    for replica in (0, 1):
        fallen = rows_of(other, replica).query("split == 'train'")["accuracy"].min()
        kicked = rows_of(job, replica).query("split == 'train'")["accuracy"].iloc[0]
        assert fallen < 0.9
        assert fallen - 1 / 15 - 1e-9 <= kicked <= fallen


def test_a_branch_is_evaluated_on_its_own_examples_and_loss_until_it_returns(
    parent_of: Callable[[str], Job], two_replicas: Path, tmp_path: Path
) -> None:
    parent = parent_of("adamw in batches")
    split = pd.read_parquet(two_replicas / "split.parquet")
    split["label"] = (split["label"] + 1) % 5
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    table = pd.read_parquet(two_replicas / "split.parquet").assign(label=split["label"])
    write_like(two_replicas / "split.parquet", inputs / "split.parquet", table)
    changed = replace(parent.settings, optimiser=replace(parent.settings.optimiser, loss="stablemax"))
    job = replace(branch(parent, tmp_path / "branch", "step 1000", changed, lasts=400), inputs=inputs)
    finished(job)
    rows, theirs = rows_of(job, 0).set_index(["split", "step"]), rows_of(parent, 0).set_index(["split", "step"])
    assert theirs.loc[("train", 1000), "accuracy"] == 1.0
    assert rows.loc[("train", 1000), "accuracy"] == 0.0
    assert rows.loc[("train", 1400), "accuracy"] > 0.5, "it learns the other answers"
    assert rows.loc[("train", 1450), "accuracy"] < 0.5, "from then on, its parent's labels count"


def write_like(source: Path, path: Path, frame: pd.DataFrame) -> None:
    """Write a table like another one of the same file name, with the same metadata."""
    tables.write(path, schemas.table(source.stem), frame, tables.inherited(source))


def test_a_parent_is_replayed_from_its_seed_if_its_states_are_of_another_code(
    parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    parent = parent_of("adamw in batches")
    same = finished(branch(parent, tmp_path / "same", "step 1300"))
    assert "replays its parent from its seed" not in same.log()
    other = finished(branch(replace(parent, code="0ther"), tmp_path / "other", "step 1300"))
    assert "replays its parent from its seed" in other.log()
    assert other.results() == same.results()


def test_a_branch_of_another_code_than_its_parent_starts_from_the_parents_states(
    parent_of: Callable[[str], Job], tmp_path: Path
) -> None:
    parent = parent_of("adamw in batches")
    job = finished(replace(branch(parent, tmp_path / "branch", "step 1300"), code="0ther"))
    assert "replays its parent from the state at step" in job.log()
    assert "replays its parent from its seed" not in job.log()
