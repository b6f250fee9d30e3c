"""Start of a branch: the step of its event, its parent trained again up to there, and the files that it depends on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import branch_of, condition
from runs import EVERY_STEP, same_bytes, weights_of

from general_circuits.records import to_json
from general_circuits.stages import generate_task, split_examples
from general_circuits.storage import tables
from general_circuits.storage.blocks import Block
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.metrics import TABLE as METRICS
from general_circuits.storage.training_states import States, folder_of
from general_circuits.training import loop
from general_circuits.training.branch_start import BranchStart, step_of
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import Schedule

SETTINGS = condition(30, metrics=EVERY_STEP)
CODE = "c0de"
ONSET = 17
"""Onset of replica 4; replica 5 has none."""


@dataclass(frozen=True)
class Parent:
    """Files of a finished block with replicas 4 and 5."""

    folder: Path

    def start(
        self, at: str = "onset", code: str = CODE, as_kicked: Path | None = None, **changes: object
    ) -> BranchStart:
        branch = branch_of(SETTINGS, at, **changes)
        return BranchStart(branch, self.folder, self.folder / "states", as_kicked, code, "cpu")

    def block(self) -> Block:
        return Block(self.folder / "split.parquet", torch.device("cpu"))

    def trained(self, seed: int, step: int) -> Replica:
        """Return a replica of the parent at a step, trained from its seed, with its last update observed."""
        ((_, _, examples),) = [row for row in self.block().replicas() if row[1] == seed]
        replica = Replica(SETTINGS, examples, self.block().vocabulary, seed)
        while replica.step < step:
            replica.update(is_observed=replica.step + 1 == step)
        return replica


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Parent:
    """The parent, with states at steps 7, 14, 21, 28 and 30. Not to be changed."""
    folder = tmp_path_factory.mktemp("parent")
    generate_task.main(to_json(SETTINGS.task), folder / "task.parquet")
    drawn = {"first_seed": 4, "block": 0, "replicas": 2, "output": folder / "split.parquet"}
    split_examples.main(folder / "task.parquet", to_json(SETTINGS.split), "tiny", **drawn)
    block, frames = Block(folder / "split.parquet", torch.device("cpu")), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Schedule, "state_every", 7)
        for position, seed, examples in block.replicas():
            kept = folder_of(folder / "states", position, CODE, to_json(SETTINGS), "cpu", block.split)
            run = loop.train(SETTINGS, examples, block.vocabulary, seed, states=States(kept))
            frames.append(run.metrics.assign(condition="tiny", replica=seed))
    tables.write(folder / "metrics.parquet", METRICS, pd.concat(frames))
    tables.write(folder / "events.parquet", EVENTS, EVENT_ROWS)
    return Parent(folder)


EVENT_ROWS = pd.DataFrame(
    [("tiny", 4, "onset", ONSET - 1, ONSET, False), ("tiny", 5, "onset", 30, 30, True)],
    columns=["condition", "replica", "event", "after", "step", "censored"],
)


# The step


def test_the_step_is_the_events_and_a_censored_event_has_none() -> None:
    assert step_of(EVENT_ROWS, 4, "onset") == ONSET
    assert step_of(EVENT_ROWS, 5, "onset") is None


def test_a_step_that_is_named_needs_no_event() -> None:
    assert [step_of(EVENT_ROWS, seed, "step 1200") for seed in (4, 5, 6)] == [1200] * 3


# The parent, trained again


@pytest.mark.parametrize(
    ("at", "step", "begins"),
    [
        ("onset", ONSET, "the state at step 14"),
        ("step 21", 21, "the state at step 14"),
        ("step 22", 22, "the state at step 21"),
        ("step 3", 3, "its seed"),
        ("step 0", 0, "its seed"),
    ],
)
def test_a_branch_begins_with_the_bytes_of_its_parent(at: str, step: int, begins: str, parent: Parent) -> None:
    """The state of step 21 is not used for step 21, since the norm of the last gradient is measured."""
    lines: list[str] = []
    examples = parent.trained(4, 0).splits
    branch = parent.start(at).start(4, SETTINGS, examples, lines.append)
    expected = parent.trained(4, step)
    assert branch.step == step
    assert same_bytes(weights_of(branch.model), weights_of(expected.model))
    assert branch.evaluate().numpy().tobytes() == expected.evaluate().numpy().tobytes()
    assert lines == [f"leaves its parent at step {step:,}", f"replays its parent from {begins}"]


def test_states_of_another_code_than_the_parents_are_not_used(parent: Parent) -> None:
    lines: list[str] = []
    examples = parent.trained(4, 0).splits
    branch = parent.start(code="0ther").start(4, SETTINGS, examples, lines.append)
    assert lines[-1] == "replays its parent from its seed"
    assert same_bytes(weights_of(branch.model), weights_of(parent.trained(4, ONSET).model))


def test_a_replica_whose_parent_never_reached_the_event_has_no_branch(parent: Parent) -> None:
    lines: list[str] = []
    assert parent.start().start(5, SETTINGS, parent.trained(5, 0).splits, lines.append) is None
    assert lines == ["its parent never reached onset: there is no branch"]


# A kick that copies another branch's fall


def fallen(path: Path, accuracies: list[float], diverged: list[bool], metrics: pd.DataFrame) -> Path:
    """Write metrics of another branch of replica 4 with these training accuracies."""
    rows = metrics[(metrics["replica"] == 4) & metrics["split"].isin(["train", "validation"])]
    rows = rows[rows["step"].isin(sorted(rows["step"].unique())[: len(accuracies)])].copy()
    for split, shift in (("train", 0.0), ("validation", -0.5)):  # only training accuracy counts
        rows.loc[rows["split"] == split, "accuracy"] = [accuracy + shift for accuracy in accuracies]
        rows.loc[rows["split"] == split, "diverged"] = diverged
    tables.write(path, METRICS, rows, {"replicas": [4, 5]})
    return path


def test_a_kick_reaches_the_lowest_training_accuracy_of_the_other_branch_before_it_diverged(
    parent: Parent, tmp_path: Path
) -> None:
    metrics = tables.read(parent.folder / "metrics.parquet", METRICS)
    path = fallen(tmp_path / "other.parquet", [0.9, 0.5, 0.7, 0.1], [False, False, False, True], metrics)
    start = parent.start("step 20", as_kicked=path, kick="other")
    branch = start.start(4, SETTINGS, parent.trained(4, 0).splits, lambda line: None)
    accuracy = branch.evaluate()[0, 1].item()
    assert accuracy <= 0.5
    assert accuracy > 0.5 - 2 / 15  # at most two of the 15 training examples change at once


def test_without_rows_of_the_other_branch_there_is_no_branch(parent: Parent, tmp_path: Path) -> None:
    metrics = tables.read(parent.folder / "metrics.parquet", METRICS)
    path = fallen(tmp_path / "other.parquet", [0.9, 0.5], [True, True], metrics)
    start = parent.start("step 20", as_kicked=path, kick="other")
    assert start.start(4, SETTINGS, parent.trained(4, 0).splits, lambda line: None) is None


# What the bytes depend on


def test_a_branch_has_diverged_if_its_parent_did_before_the_step(parent: Parent, tmp_path: Path) -> None:
    metrics = tables.read(parent.folder / "metrics.parquet", METRICS)
    is_lost = (metrics["replica"] == 4) & (metrics["step"] >= 12)
    tables.write(tmp_path / "metrics.parquet", METRICS, metrics.assign(diverged=is_lost))
    shutil.copy(parent.folder / "split.parquet", tmp_path)
    start = replace(parent.start(), runs=tmp_path)
    assert [start.has_diverged(4, step) for step in (0, 12, 13, 30)] == [False, False, True, True]
    assert not start.has_diverged(5, 30)


def test_the_key_changes_with_the_branch_and_with_every_file_that_it_reads(parent: Parent, tmp_path: Path) -> None:
    for name in ("split.parquet", "events.parquet"):
        (tmp_path / name).write_bytes((parent.folder / name).read_bytes())
    kicked = tmp_path / "kicked.parquet"
    kicked.write_bytes(b"metrics")
    start = replace(parent.start(as_kicked=kicked), runs=tmp_path)
    assert start.key() == start.key() == replace(parent.start(as_kicked=kicked)).key()
    keys = {start.key(), parent.start("step 3", as_kicked=kicked).key(), parent.start().key()}
    for file in start.files:
        content = file.read_bytes()
        file.write_bytes(content + b"more")
        keys.add(start.key())
        file.write_bytes(content)
    assert len(keys) == 3 + len(start.files) == 6
