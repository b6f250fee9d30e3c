"""Recovery: from killed jobs, from killed Snakemakes, and from two launches at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import psutil
import pytest
from checkouts import BRIEF, TINY, Project, checkout

LONG = {**TINY["defaults"], "steps": 4000, "checkpoints": {"log": 2, "every": 2000}}


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """Return a study that has not run, with training long enough to interrupt."""
    project = checkout(tmp_path / "fresh")
    project.configure(**{**BRIEF, "defaults": LONG, "conditions": {"grokking": {}}})
    return project


def test_the_same_command_resumes_and_finishes_training_after_every_interruption(fresh: Project) -> None:
    """The interruptions follow one another: a killed job, Ctrl-C, a killed Snakemake, a second launch at once."""
    states = fresh.results / ".state/grokking/0/replica-0"
    _kill_the_job(fresh, states)
    kept = _last_step(states)
    assert kept > 0
    _interrupt(fresh)
    log = (fresh.results / "logs/train_block/grokking/0.log").read_text()
    assert f"goes on from step {kept:,}\n" in log
    _kill_snakemake(fresh)
    last = fresh.launch()
    training = _training(last.pid)
    second = fresh.launch()
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "already running" in errors
    training.wait(timeout=120)
    metrics = pd.read_parquet(fresh.results / "runs/grokking/0/metrics.parquet")
    assert metrics["step"].max() == LONG["steps"]
    os.killpg(last.pid, signal.SIGINT)
    last.communicate(timeout=60)


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
    assert "Finished jobs are kept" in errors
    assert "Traceback" not in errors


def _interrupt(fresh: Project) -> None:
    launched = fresh.launch()
    training = _training(launched.pid)
    log = fresh.results / "logs/train_block/grokking/0.log"
    while "goes on from" not in log.read_text():
        assert training.is_running(), "training ended before it resumed: the test shows nothing"
        time.sleep(0.01)
    os.killpg(launched.pid, signal.SIGINT)
    launched.communicate(timeout=60)
    assert launched.returncode == 1
    assert _has_ended(training)
    assert not list((fresh.root / ".snakemake/locks").glob("*")), "Snakemake had no time to remove its lock"


def _kill_snakemake(fresh: Project) -> None:
    launched = fresh.launch()
    _training(launched.pid)
    snakemake = _process(launched.pid, lambda words: "snakemake" in words)
    orphans = snakemake.children(recursive=True)
    snakemake.send_signal(signal.SIGKILL)
    launched.communicate(timeout=60)
    assert any((fresh.root / ".snakemake/locks").iterdir()), "Snakemake left no lock: the test shows nothing"
    for orphan in orphans:
        if orphan.is_running():
            orphan.kill()


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
