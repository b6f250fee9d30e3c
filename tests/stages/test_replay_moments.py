"""Replays to the moments that claims read: weights there have the bytes of a run that kept many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from builders import condition
from jobs import Job, finish
from safetensors.torch import load_file

from general_circuits.analysis.moments import AROUND_ONSET
from general_circuits.stages import replay_moments
from general_circuits.storage import tables
from general_circuits.storage.moments import steps_by_replica
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.storage.schemas.moments import TABLE as MOMENTS
from general_circuits.training.replica import Replica
from general_circuits.training.schedule import Spacing

STEPS = 600
SETTING = condition(STEPS, Spacing(1, 10), Spacing(1, 10))
"""States lie at steps 500 and 600."""
GROKKING = ({"memorised": 60, "onset": 330, "generalised": 380}, {})
"""Events of two replicas. The second one never memorised."""
CONTROL = ({"memorised": 90}, {"memorised": 40})
BY_HAND = {
    "baseline": 60,
    "memorised": 60,
    "onset": 330,
    "generalised": 380,
    "before": 280,  # the rise takes 50 steps
    "after": 430,
    "late_end": 570,
}
"""Moments of grokking's first replica."""
AROUND = [310, 320, 330, 340, 350, 360]


def write_events(path: Path, name: str, replicas: Sequence[Mapping[str, int]]) -> Path:
    """Write the table of a block's events from the steps of each replica; other events are censored."""
    rows = [
        (name, replica, event, steps.get(event, STEPS), event not in steps)
        for replica, steps in enumerate(replicas)
        for event in ("memorised", "onset", "generalised")
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "event", "step", "censored"])
    tables.write(path, EVENTS, frame.assign(after=frame["step"] - 1))
    return path


def options(
    job: Job, own: Sequence[Mapping[str, int]], partner: Sequence[Mapping[str, int]], folder: Path
) -> dict[str, object]:
    """Return the options of the stage, whose files lie in this new folder."""
    folder.mkdir()
    return {
        **job.again(),
        # The stage reads the last step from the weights beside its split. In the workflow, training writes them there.
        "split": job.run / "split.parquet",
        "events": write_events(folder / "own.parquet", "tiny", own),
        "partner": write_events(folder / "partner.parquet", "grokking", partner),
        "before": 20,
        "after": 30,
        "every": 10,
        "output": folder / "0.parquet",
    }


def replayed(job: Job, own: Sequence[Mapping[str, int]], partner: Sequence[Mapping[str, int]], folder: Path) -> Path:
    """Run the stage, and return the path of its table."""
    told = options(job, own, partner, folder)
    assert finish("replay_moments", told, folder / "log") == 0, (folder / "log").read_text()
    return folder / "0.parquet"


def trained(job: Job) -> Job:
    assert job.finish() == 0, job.log()
    (job.run / "split.parquet").write_bytes((job.inputs / "split.parquet").read_bytes())
    return job


@pytest.fixture(scope="module")
def job(two_replicas: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A block of two replicas that kept every tenth step. It is not to be changed."""
    return trained(Job(two_replicas, tmp_path_factory.mktemp("trained") / "job", SETTING))


@pytest.fixture(scope="module")
def grokking(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(job, GROKKING, GROKKING, tmp_path_factory.mktemp("moments") / "grokking")


@pytest.fixture(scope="module")
def control(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return replayed(job, CONTROL, GROKKING, tmp_path_factory.mktemp("moments") / "control")


def weights(table: Path, position: int = 0) -> dict[str, torch.Tensor]:
    return load_file(table.with_suffix("") / f"weights-{position}.safetensors")


def assert_equal_to_run(replayed: dict[str, torch.Tensor], job: Job) -> None:
    """Assert that the weights of the first replica equal those of its run at each replayed step, to the bit."""
    run = load_file(job.run / "weights-0.safetensors")
    places = [run["steps"].tolist().index(step) for step in replayed["steps"].tolist()]
    assert replayed.keys() == run.keys()
    assert [name for name, weight in replayed.items() if not torch.equal(weight, run[name][places])] == []


def test_a_replica_is_replayed_to_its_moments_and_to_steps_around_its_onset(grokking: Path) -> None:
    steps = steps_by_replica(grokking)
    assert steps == {0: {**{name: [step] for name, step in BY_HAND.items()}, AROUND_ONSET: AROUND}}
    assert weights(grokking)["steps"].tolist() == sorted({*BY_HAND.values(), *AROUND})
    assert not tables.read(grokking, MOMENTS)["is_cut"].any()


def test_weights_at_moments_have_the_bytes_of_the_run(job: Job, grokking: Path) -> None:
    assert_equal_to_run(weights(grokking), job)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_accuracies_at_moments_are_those_of_the_run(split: str, job: Job, grokking: Path) -> None:
    metrics = pd.read_parquet(job.metrics)
    of_run = metrics[(metrics["replica"] == 0) & (metrics["split"] == split)].set_index("step")["accuracy"]
    rows = tables.read(grokking, MOMENTS)
    assert len(rows) == len(BY_HAND) + len(AROUND)
    assert rows[f"{split}_accuracy"].tolist() == of_run.loc[rows["step"]].tolist()


def test_a_replica_that_never_memorised_has_no_moments_and_weights_of_no_step(job: Job, grokking: Path) -> None:
    assert set(tables.read(grokking, MOMENTS)["replica"]) == {0}
    none, run = weights(grokking, position=1), load_file(job.run / "weights-1.safetensors")
    assert {name: weight.shape for name, weight in none.items()} == {
        name: torch.Size([0, *weight.shape[1:]]) for name, weight in run.items()
    }


def test_a_block_without_any_moment_has_a_table_without_rows(job: Job, tmp_path: Path) -> None:
    path = replayed(job, ({}, {}), ({}, {}), tmp_path / "none")
    assert tables.read(path, MOMENTS).empty
    assert [weights(path, position)["steps"].tolist() for position in (0, 1)] == [[], []]


def test_a_control_is_read_at_its_partners_moments_from_the_later_of_both_t_m(job: Job, control: Path) -> None:
    """The control has no onset of its own, so that no steps around one are kept."""
    assert steps_by_replica(control) == {0: {name: [step] for name, step in {**BY_HAND, "baseline": 90}.items()}}
    assert weights(control)["steps"].tolist() == sorted({90, *BY_HAND.values()})
    assert_equal_to_run(weights(control), job)


def test_a_control_whose_partner_never_memorised_has_no_baseline(control: Path) -> None:
    assert weights(control, position=1)["steps"].tolist() == []


def test_a_moment_after_the_end_of_training_is_its_last_step_and_flagged(job: Job, tmp_path: Path) -> None:
    late = ({"memorised": 60, "onset": 450, "generalised": 500}, {})
    rows = tables.read(replayed(job, late, late, tmp_path / "late"), MOMENTS)
    rows = rows[rows["moment"] != AROUND_ONSET].set_index("moment")
    assert rows["step"].to_dict() == {
        "baseline": 60,
        "memorised": 60,
        "onset": 450,
        "generalised": 500,
        "before": 400,
        "after": 550,
        "late_end": STEPS,
    }
    assert {*rows.index[rows["is_cut"]]} == {"late_end"}


def test_steps_around_an_onset_end_with_training(job: Job, tmp_path: Path) -> None:
    first, last = ({"memorised": 5, "onset": 10}, {"memorised": 5, "onset": STEPS - 15})
    steps = steps_by_replica(replayed(job, (first, last), (first, last), tmp_path / "ends"))
    assert steps[0][AROUND_ONSET] == [0, 10, 20, 30, 40]
    assert steps[1][AROUND_ONSET] == [STEPS - 35, STEPS - 25, STEPS - 15, STEPS - 5]


def test_two_equal_replays_have_the_same_bytes(job: Job, grokking: Path, tmp_path: Path) -> None:
    again = replayed(job, GROKKING, GROKKING, tmp_path / "again")
    assert again.read_bytes() == grokking.read_bytes()
    for file in grokking.with_suffix("").iterdir():
        assert (again.with_suffix("") / file.name).read_bytes() == file.read_bytes()
    assert tables.inherited(again) == tables.inherited(job.run / "split.parquet")


def test_states_change_no_bytes(job: Job, grokking: Path, tmp_path: Path) -> None:
    other = replayed(replace(job, code="0ther"), GROKKING, GROKKING, tmp_path / "without")
    assert other.read_bytes() == grokking.read_bytes()
    assert weights(other).keys() == weights(grokking).keys()
    assert all(torch.equal(weights(other)[name], weight) for name, weight in weights(grokking).items())


@pytest.mark.parametrize("until", [None, 1.5])
def test_a_replay_starts_from_the_states_of_its_training(
    until: float | None, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each moment is reached from the moment before it, or from a state that lies nearer: at multiples of 100."""
    if until:
        setting = replace(SETTING, schedule=replace(SETTING.schedule, until=until))
        partner = write_events(tmp_path / "events.parquet", "grokking", GROKKING)
        job = trained(Job(job.inputs, tmp_path / "job", setting, partner=partner))
        steps = [load_file(job.run / f"weights-{position}.safetensors")["steps"] for position in (0, 1)]
        assert [int(kept[-1]) for kept in steps] == [570, STEPS]
    made: list[int] = []
    update = Replica.update

    def recorded(self: Replica, is_observed: bool) -> None:
        made.append(self.step + 1)
        update(self, is_observed)

    monkeypatch.setattr(Replica, "update", recorded)
    replay_moments.main(replay_moments.Moments(**options(job, CONTROL, GROKKING, tmp_path / "moments")))
    made_by_hand = [(0, 90), (200, 280), (300, 330), (330, 380), (400, 430), (500, 570)]
    assert made == [step for start, end in made_by_hand for step in range(start + 1, end + 1)]
    assert weights(tmp_path / "moments/0.parquet")["steps"].tolist() == sorted({90, *BY_HAND.values()})
