"""Training that is killed, stopped or out of disk space goes on from its last state, to equal bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from builders import condition
from jobs import Job, wait_until

from general_circuits.storage import tables
from general_circuits.storage.schemas.events import TABLE as EVENTS
from general_circuits.training.schedule import LEAST_BETWEEN_STATES, Spacing
from general_circuits.training.settings import Condition

KILLS = int(os.environ.get("KILLS", "3"))
"""Number of times that a job is killed at a random moment. More kills test more."""

EVERY = Spacing(log=5, every=500)


def settings(steps: int = 3000, **changes: object) -> Condition:
    """Return settings of a network so small that a job keeps two or more states every second."""
    return condition(steps=steps, checkpoints=EVERY, metrics=Spacing(log=10, every=100), **changes)


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that ran through. Not to be changed."""
    job = Job(inputs, tmp_path_factory.mktemp("undisturbed"), settings())
    assert job.finish() == 0, job.log()
    return job


@pytest.fixture(scope="module")
def killed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that was killed after three states or more. Not to be changed: tests work on copies."""
    job = Job(inputs, tmp_path_factory.mktemp("killed"), settings())
    kill_at(job, 1500)
    return job


def kill_at(job: Job, step: int, position: int = 0) -> None:
    """Start a job, and kill it once it has kept the state of this step."""
    process = job.start()
    assert wait_until(lambda: job.last_step(position) >= step, process), job.log()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not job.metrics.exists(), "the job was done before it was killed, so the test shows nothing"


def assert_equal_runs(job: Job, expected: Job) -> None:
    """Assert that two jobs wrote the same files with the same bytes."""
    assert job.results().keys() == expected.results().keys()
    assert job.results() == expected.results()


def test_an_undisturbed_run_keeps_its_states_and_no_records_or_temporary_files(undisturbed: Job) -> None:
    assert "goes on" not in undisturbed.log()
    assert undisturbed.results().keys() == {"metrics.parquet", "weights-0.safetensors"}
    steps = [int(path.name.split("-")[1]) for path in undisturbed.state_files()]
    assert steps == list(range(LEAST_BETWEEN_STATES, 3001, LEAST_BETWEEN_STATES))
    assert undisturbed.state_files(kind="record") == []
    assert undisturbed.temporary() == []


def test_a_job_killed_at_random_moments_ends_with_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    """One run may be killed several times, restarts included."""
    steps, rng = 12_000, random.Random(0)
    expected = Job(inputs, tmp_path / "undisturbed", settings(steps))
    assert expected.finish() == 0, expected.log()
    kills, runs = 0, 0
    while kills < KILLS:
        job = Job(inputs, tmp_path / f"run-{runs}", settings(steps))
        aims = sorted(
            rng.sample(
                range(LEAST_BETWEEN_STATES, steps - LEAST_BETWEEN_STATES, LEAST_BETWEEN_STATES), min(5, KILLS - kills)
            )
        )
        while aims and killed_at_random(job, aims.pop(0), rng):
            kills += 1
        if not job.metrics.exists():
            before = job.last_step()
            assert job.launch().wait() == 0, job.log()
            assert f"goes on from step {before:,}\n" in job.log()
        assert_equal_runs(job, expected)
        assert job.kept() == expected.kept()
        runs += 1


def killed_at_random(job: Job, aim: int, rng: random.Random) -> bool:
    """Start a job, kill it some time after it keeps the state `aim`, and check where it had gone on from.

    Return False if the job was done before the kill.
    """
    before = job.last_step()
    process = job.launch()
    line = f"goes on from step {before:,}\n" if before else ""
    wait_until(lambda: job.last_step() >= aim and line in job.log(), process)
    time.sleep(rng.uniform(0.0, 0.4))
    process.kill()
    if process.wait() == 0:
        return False
    assert process.returncode == -signal.SIGKILL, job.log()
    assert job.last_step() >= max(aim, before) > 0
    assert not job.metrics.exists()
    assert job.log().count("goes on from") == bool(before)
    assert line in job.log()
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_asked_to_stop_keeps_a_state_and_goes_on_from_it(number, inputs, undisturbed, tmp_path) -> None:
    job = Job(inputs, tmp_path / "job", settings())
    process = job.start()
    assert wait_until(lambda: job.last_step() >= 1000, process), job.log()
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 128 + number
    step = job.last_step()
    assert 1000 < step < 3000
    assert f"tiny, replica 0: stopped at step {step:,}, which is kept\n" in job.log()
    assert "Traceback" not in job.log()
    assert not job.run.exists()
    assert job.finish() == 0, job.log()
    assert f"tiny, replica 0: goes on from step {step:,}\n" in job.log()
    assert_equal_runs(job, undisturbed)


def truncate(path: Path) -> None:
    """Cut off the end of a file."""
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_state_is_reported_and_the_state_before_it_used(
    damage: Callable[[Path], None], killed: Job, undisturbed: Job, tmp_path: Path
) -> None:
    job = killed.copy(tmp_path / "job")
    *_, before, last = job.state_files()
    damage(last)
    assert job.finish() == 0, job.log()
    assert f"tiny, replica 0: {last}: truncated or altered" in job.log()
    assert f"goes on from step {int(before.name.split('-')[1]):,}\n" in job.log()
    assert_equal_runs(job, undisturbed)
    assert job.kept() == undisturbed.kept()


@pytest.mark.parametrize("cause", ["settings", "inputs", "code"])
def test_a_job_of_other_settings_inputs_or_code_starts_anew_and_removes_old_states(
    cause: str, killed: Job, other_inputs: Path, tmp_path: Path
) -> None:
    changes = {"settings": settings(learning_rate=2e-3), "inputs": other_inputs, "code": "0ther"}
    job = killed.copy(tmp_path / "job", **{cause: changes[cause]})
    (old,) = (job.states / "replica-0").iterdir()
    process = job.start()
    assert wait_until(lambda: not old.exists() and job.last_step() > 0, process), job.log()
    process.kill()
    process.join()
    assert "goes on" not in job.log()
    assert int(job.state_files()[0].name.split("-")[1]) == LEAST_BETWEEN_STATES
    (new,) = (job.states / "replica-0").iterdir()
    assert new.name != old.name


def assert_out_of_room(job: Job) -> None:
    """Assert that the job ended with one plain line about the disk, and left no temporary file."""
    (line,) = [line for line in job.log().splitlines() if "nothing more can be written" in line]
    assert line.startswith("tiny: ")
    assert line.endswith("make room, and run this again")
    assert "None" not in line
    assert "Traceback" not in job.log()
    assert job.log().splitlines()[-1] == line
    assert job.temporary() == []


def test_a_job_without_room_for_states_or_weights_loses_nothing_that_was_kept(
    killed: Job, undisturbed: Job, tmp_path: Path
) -> None:
    job = killed.copy(tmp_path / "job")
    earlier, last = job.kept(), job.last_step()
    files = {"state": undisturbed.state_files(), "record": job.state_files(kind="record")}
    sizes = {kind: min(file.stat().st_size for file in of_kind) for kind, of_kind in files.items()}
    weights = len(undisturbed.results()["weights-0.safetensors"])
    assert sizes["record"] < sizes["state"] < weights

    assert job.finish(file_limit=sizes["state"] - 1) == 1
    assert_out_of_room(job)
    assert job.last_step() == last
    assert earlier.items() <= job.kept().items()

    assert job.finish(file_limit=weights - 1) == 1
    assert f"goes on from step {last:,}\n" in job.log()
    assert_out_of_room(job)
    assert job.last_step() == 3000
    assert job.results() == {}
    assert earlier.items() <= job.kept().items()

    assert job.finish() == 0, job.log()
    assert "goes on from step 3,000\n" in job.log()
    assert_equal_runs(job, undisturbed)
    assert job.kept() == undisturbed.kept()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs its own disk, which only root may mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("place", ["run", "states"])
def test_a_full_disk_stops_the_job_and_with_room_it_finishes(
    place: str, killed: Job, undisturbed: Job, small_disk: Path, tmp_path: Path
) -> None:
    """Weights or states are on a disk where another file has left only two pages free."""
    job = killed.copy(tmp_path / "job", places={place: small_disk / place})
    if place == "states":
        (job.folder / "states").rename(tmp_path / "moved")
        subprocess.run(["cp", "-r", str(tmp_path / "moved"), str(job.states)], check=True)
    earlier = job.kept()
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    (small_disk / "filler").write_bytes(bytes(free - 2 * 4096))
    assert job.finish() == 1
    assert_out_of_room(job)
    assert "No space left on device" in job.log()
    assert job.results() == {}
    assert earlier.items() <= job.kept().items()
    (small_disk / "filler").unlink()
    assert job.finish() == 0, job.log()
    assert "goes on from step" in job.log()
    assert_equal_runs(job, undisturbed)
    assert job.kept() == undisturbed.kept()


def test_a_killed_run_that_had_diverged_goes_on_to_equal_bytes(inputs: Path, tmp_path: Path) -> None:
    explosion = settings(optimiser="sgd", learning_rate=1e30)
    expected, job = (Job(inputs, tmp_path / name, explosion) for name in ("undisturbed", "killed"))
    assert expected.finish() == 0, expected.log()
    kill_at(job, 1000)
    before = job.last_step()
    assert job.finish() == 0, job.log()
    assert f"goes on from step {before:,}\n" in job.log()
    assert_equal_runs(job, expected)
    assert job.kept() == expected.kept()
    metrics = pd.read_parquet(job.metrics)
    assert metrics["diverged"].equals(metrics["step"] > 0)


def test_a_finished_replica_is_not_trained_again_when_its_block_goes_on(two_replicas: Path, tmp_path: Path) -> None:
    """The block has two replicas, and is killed while it trains the second."""
    expected, job = (Job(two_replicas, tmp_path / name, settings(2000)) for name in ("undisturbed", "killed"))
    assert expected.finish() == 0, expected.log()
    kill_at(job, 500, position=1)
    first, before = {path: path.stat().st_mtime_ns for path in job.state_files(0)}, job.last_step(1)
    assert job.finish() == 0, job.log()
    assert "tiny, replica 0: goes on from step 2,000\n" in job.log()
    assert f"tiny, replica 1: goes on from step {before:,}\n" in job.log()
    assert {path: path.stat().st_mtime_ns for path in job.state_files(0)} == first
    assert_equal_runs(job, expected)
    assert job.kept() == expected.kept()
    assert job.results()["weights-1.safetensors"] != job.results()["weights-0.safetensors"]


@pytest.mark.parametrize(("keep", "expected"), [(0, []), (2, [1500, 3000])])
def test_a_finished_job_leaves_as_many_states_as_it_was_told(
    keep: int, expected: list[int], killed: Job, tmp_path: Path
) -> None:
    job = replace(killed.copy(tmp_path / "job"), keep=keep)
    assert job.finish() == 0, job.log()
    assert [int(path.name.split("-")[1]) for path in job.state_files()] == expected
    assert job.state_files(kind="record") == []


def test_a_condition_ends_at_its_partners_late_window_and_goes_on_to_the_same_bytes(
    two_replicas: Path, tmp_path: Path
) -> None:
    """Replica 0 of grokking generalised at step 201; replica 1 never did, so its partner trains all steps."""
    events = pd.DataFrame({"condition": "grokking", "replica": [0, 1], "event": "generalised"})
    events = events.assign(after=[200, 900], step=[201, 900], censored=[False, True])
    tables.write(tmp_path / "events.parquet", EVENTS, events)
    setting = condition(900, Spacing(1, 100), Spacing(1, 50))
    setting = replace(setting, schedule=replace(setting.schedule, until=1.5))
    job = Job(two_replicas, tmp_path / "job", setting, partner=tmp_path / "events.parquet")
    assert job.finish() == 0, job.log()
    metrics = pd.read_parquet(job.metrics)
    assert metrics.groupby("replica")["step"].max().tolist() == [301, 900]
    whole = Job(two_replicas, tmp_path / "whole", replace(setting, schedule=replace(setting.schedule, until=None)))
    assert whole.finish() == 0, whole.log()
    of_whole = pd.read_parquet(whole.metrics)
    for replica, last in ((0, 300), (1, 900)):
        mine, theirs = (
            frame[(frame["replica"] == replica) & (frame["step"] <= last)].reset_index(drop=True)
            for frame in (metrics, of_whole)
        )
        mine = mine[mine["step"].isin(theirs["step"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    # Another t_g of the partner makes another run, whatever states are there.
    tables.write(tmp_path / "events.parquet", EVENTS, events.assign(step=[101, 900], after=[100, 900]))
    assert job.finish() == 0, job.log()
    assert pd.read_parquet(job.metrics).groupby("replica")["step"].max().tolist() == [151, 900]
