"""Recovery: from killed jobs, from killed Snakemakes, and from two launches at once."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from checkouts import BRIEF, TINY, Project, checkout

from general_circuits.running.stopping import CONTINUES

LONG = {**TINY["defaults"], "steps": 8000, "checkpoints": {"log": 2, "every": 4000}}


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """Return a study that has not run, with training long enough to interrupt."""
    project = checkout(tmp_path / "fresh")
    project.configure(**{**BRIEF, "defaults": LONG, "conditions": {"grokking": {}}})
    return project


def test_the_same_command_resumes_and_finishes_training_after_every_interruption(fresh: Project) -> None:
    """The interruptions follow one another: a killed job, Ctrl-C, a killed Snakemake, a killed launcher, SIGTERM."""
    states = fresh.results / ".state/grokking/0/replica-0"
    _kill_the_job(fresh, states)
    kept = _last_step(states)
    assert kept > 0
    _interrupt(fresh)
    log = (fresh.results / "logs/train_block/grokking/0.log").read_text()
    assert f"goes on from step {kept:,}\n" in log
    orphan = _kill_snakemake(fresh)
    launcher = fresh.launch()
    training = _training(launcher.pid)
    assert _has_ended(orphan), "two jobs write the same files"
    _kill_the_launcher(fresh, launcher)
    assert _has_ended(training)
    last = fresh.launch()
    training = _training(last.pid)
    assert f"as process {last.pid} since" in _refused(fresh)
    training.wait(timeout=120)
    metrics = pd.read_parquet(fresh.results / "runs/grokking/0/metrics.parquet")
    assert metrics["step"].max() == LONG["steps"]
    last.terminate()
    _assert_stopped(fresh, last, signal.SIGTERM, "SIGTERM")


def test_a_study_ends_with_its_report_and_a_second_run_does_nothing(project: Project) -> None:
    first = project.launch()
    output, errors = first.communicate(timeout=120)
    assert first.returncode == 0, errors
    assert f"The report is in {project.results / 'report.html'}" in output
    made = (project.results / "report.html").stat().st_mtime_ns
    second = project.launch()
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert (project.results / "report.html").stat().st_mtime_ns == made


def _kill_the_job(fresh: Project, states: Path) -> None:
    launched = fresh.launch()
    training = _training(launched.pid)
    while not list(states.glob("*/state-*")):
        assert training.is_running(), "training ended before it kept a state: the test shows nothing"
        time.sleep(0.01)
    training.send_signal(signal.SIGKILL)
    _, errors = launched.communicate(timeout=120)
    assert launched.returncode == 1
    assert f"not finished, since a job failed; {CONTINUES}" in errors
    assert "Traceback" not in errors


def _interrupt(fresh: Project) -> None:
    """Press Ctrl-C twice, as an impatient user does."""
    launched = fresh.launch()
    training = _training(launched.pid)
    log = fresh.results / "logs/train_block/grokking/0.log"
    while "goes on from" not in log.read_text():
        assert training.is_running(), "training ended before it resumed: the test shows nothing"
        time.sleep(0.01)
    for _ in range(2):
        os.killpg(launched.pid, signal.SIGINT)
    _assert_stopped(fresh, launched, signal.SIGINT, "Ctrl-C")
    assert _has_ended(training)
    assert "which is kept" in log.read_text()


def _assert_stopped(fresh: Project, launched: subprocess.Popen[str], number: int, cause: str) -> None:
    """Assert that a launch ends in time, with one sentence, and with nothing that still runs or is locked."""
    _, errors = launched.communicate(timeout=30)
    assert launched.returncode == 128 + number, errors
    assert errors.splitlines()[-1] == f"general-circuits: tiny: stopped by {cause}; {CONTINUES}"
    assert "Traceback" not in errors
    assert "Error" not in errors
    assert not list((fresh.root / ".snakemake/locks").glob("*"))
    deadline = time.monotonic() + 10  # a process that was killed may still be on its way out
    while left := _of_group(launched.pid):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _of_group(number: int) -> list[psutil.Process]:
    """Return the processes of a group that still run."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _kill_snakemake(fresh: Project) -> psutil.Process:
    """Kill Snakemake alone, and return the job that it leaves behind."""
    launched = fresh.launch()
    training = _training(launched.pid)
    snakemake = _process(launched.pid, lambda words: "snakemake" in words)
    snakemake.send_signal(signal.SIGKILL)
    launched.communicate(timeout=60)
    assert any((fresh.root / ".snakemake/locks").iterdir()), "Snakemake left no lock: the test shows nothing"
    assert not _has_ended(training)
    return training


def _kill_the_launcher(fresh: Project, launched: subprocess.Popen[str]) -> None:
    """Kill the launcher alone. Snakemake goes on, and is stopped as the refusal of a second launch says."""
    snakemake = _process(launched.pid, lambda words: "snakemake" in words)
    launched.kill()
    launched.wait()
    said = re.search(r"stop it with `kill (\d+)`", _refused(fresh))
    assert said is not None
    assert int(said[1]) == snakemake.pid
    os.kill(snakemake.pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while not _has_ended(snakemake):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list((fresh.root / ".snakemake/locks").glob("*"))


def _refused(fresh: Project) -> str:
    """Launch a second time, beside the launch that runs, and return the refusal."""
    second = fresh.launch()
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "already running in this folder" in errors
    assert len(errors.splitlines()) == 1
    return str(errors)


def test_an_unknown_study_is_refused_with_a_list_of_the_known_ones(fresh: Project) -> None:
    (fresh.root / "config/tiny.yaml").unlink()
    launched = fresh.launch()
    _, errors = launched.communicate(timeout=60)
    assert launched.returncode == 1
    assert "config/tiny.yaml" in errors
    assert "known: comments, full, smoke, tuning, workstation" in errors


def _last_step(states: Path) -> int:
    return max(int(path.name.split("-")[1]) for path in states.glob("*/state-*"))


def _training(ancestor: int) -> psutil.Process:
    return _process(ancestor, lambda words: "general_circuits.stages.train_block" in words)


def _process(ancestor: int, is_it: Callable[[list[str]], bool]) -> psutil.Process:
    """Return the descendant whose command line matches. Wait until it runs."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for process in psutil.Process(ancestor).children(recursive=True):
            try:
                if is_it(process.cmdline()):
                    return process
            except psutil.Error:
                continue
        time.sleep(0.05)
    raise AssertionError("the process never started")


def _has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended. A zombie has ended too: its parent died before it could collect it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
