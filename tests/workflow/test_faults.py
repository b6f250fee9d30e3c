"""Faults: a study whose whole tree of processes is killed at random moments ends with the bytes of an undisturbed one.

CI kills a part of the small study three times. `make faults` kills a study of every rule 30 times.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkouts import TINY, Project, checkout

from general_circuits.running.stopping import UNFINISHED

KILLS = int(os.environ.get("KILLS", "3"))
"""Number of kills. With more than 10, a study of every rule is killed as well."""

EVERY_RULE = {
    "replicas": 1,
    "defaults": {
        **TINY["defaults"],
        "steps": 1200,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "d_model": 32,
        "d_mlp": 64,
        "checkpoints": {"log": 1, "every": 600},
        "metrics": {"log": 1, "every": 50},
    },
    "conditions": {
        **TINY["conditions"],
        "kicked": {"branch": {"from": "grokking", "at": "memorised", "change": {"kick": 0.5}}},
    },
    "measurements": {
        **TINY["measurements"],
        "answers": {"checkpoints": 2},
        "spikes": {"threshold": 1.2, "most": 2},
        "specifications": {
            "methods": ["activation_gradient", "ablation_effect"],
            "targets": ["right_minus_mean"],
            "examples": 8,
            "integration_steps": 5,
            "most_integration_steps": 10,
        },
    },
}
REPLAY = ("replay", "--condition", "grokking", "--first", "700", "--last", "900", "--checkpoints-every", "100")
"""A command that runs the only rule which no study asks for."""

TIMED = {"report.html", "report_shows.txt", "report/run_times.html"}
"""Files that tell when and how long the jobs ran."""


@dataclass
class Faults:
    """Faults at random moments, and how many there have been of each kind.

    Attributes:
        kills: number of kills after which runs are left alone.
        ways: signals to choose from; a suspended run is killed after a moment, and counts by its own name.
        longest: seconds after which a run is disturbed at the latest.
    """

    kills: int
    ways: tuple[signal.Signals, ...]
    longest: float
    counts: Counter[str] = field(default_factory=Counter)
    rng: random.Random = field(default_factory=lambda: random.Random(0))

    @property
    def are_over(self) -> bool:
        return self.counts["SIGKILL"] >= self.kills

    def finish(self, project: Project, command: list[str]) -> None:
        """Run a command again and again, with faults, until it is done."""
        while not self.are_over:
            run = start(project, command)
            if ended_within(run, self.rng.uniform(1.0, self.longest)):
                assert run.returncode == 0, output_of(project)
                return
            self.disturb(run, project)
        assert start(project, command).wait() == 0, output_of(project)

    def disturb(self, run: subprocess.Popen[str], project: Project) -> None:
        """Stop a run in one of the ways, and check what it leaves if it was asked to stop."""
        way = self.rng.choice(self.ways)
        self.counts[way.name] += 1
        if way == signal.SIGTERM:
            run.terminate()
        else:
            os.killpg(run.pid, way)  # kills all at once, and Ctrl-C reaches all
        if way == signal.SIGSTOP:
            time.sleep(self.rng.uniform(0.0, 1.0))
            os.killpg(run.pid, signal.SIGKILL)
        assert ended_within(run, 30.0), f"{way.name}: {output_of(project)}"
        if way in (signal.SIGTERM, signal.SIGINT) and run.returncode:
            assert run.returncode in (128 + way, -way), output_of(project)  # negative while Python itself starts
            assert not list((project.root / ".snakemake/locks").glob("*"))
            assert "Traceback" not in output_of(project) or run.returncode == -way, output_of(project)
            deadline = time.monotonic() + 5.0  # a process that has ended may wait to be collected
            while any_left(run.pid):
                assert time.monotonic() < deadline, "a process still runs"
                time.sleep(0.05)


def test_a_block_killed_at_random_moments_ends_with_the_same_bytes(project: Project, finished: Project) -> None:
    """The launcher, Snakemake and the job are killed together, while all files of one block are made anew."""
    for path in project.results.rglob("random_labels/0*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    code = "from pathlib import Path; from general_circuits.running.launch import target"
    code += "; target('tiny', 'ablation/random_labels/0.parquet', Path.cwd())"
    faults = Faults(min(KILLS, 3), (signal.SIGKILL,), longest=7.0)
    faults.finish(project, [sys.executable, "-c", code])
    made = [path for path in files(project) if "random_labels/0" in path]
    assert len(made) >= 8
    for path in made:
        assert (project.results / path).read_bytes() == (finished.results / path).read_bytes(), path
    assert_nothing_left(project)


@pytest.mark.skipif(KILLS <= 10, reason="takes half an hour: make faults")
def test_a_study_of_every_rule_killed_at_random_moments_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Between the kills, the study is also stopped by SIGTERM and Ctrl-C, and suspended and then killed."""
    whole = ("run", "--cores", "2"), REPLAY
    expected = checkout(tmp_path / "undisturbed")
    expected.configure(**EVERY_RULE)
    for name, *options in whole:
        assert start(expected, launch(name, *options)).wait() == 0, output_of(expected)
    kinds = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)
    faults, studies = Faults(KILLS, kinds, longest=40.0), 0
    while not faults.are_over:
        project = checkout(tmp_path / f"study-{studies}")
        project.configure(**EVERY_RULE)
        for name, *options in whole:
            faults.finish(project, launch(name, *options))
        assert files(project) == files(expected)
        for path in files(expected):
            assert (project.results / path).read_bytes() == (expected.results / path).read_bytes(), path
        assert_nothing_left(project)
        studies += 1
        print(f"\n{dict(faults.counts)} in {studies} studies of {len(files(expected))} files")


def launch(name: str, *options: str) -> list[str]:
    """Return a command of `general-circuits` for the study `tiny`."""
    return [sys.executable, "-m", "general_circuits.cli", name, "--study", "tiny", *options]


def start(project: Project, command: list[str]) -> subprocess.Popen[str]:
    """Start a command; its output goes to a file of the project."""
    with (project.root / "output.txt").open("w") as output:
        return project.start(command, project.environment, output)


def output_of(project: Project) -> str:
    return (project.root / "output.txt").read_text()


def ended_within(run: subprocess.Popen[str], seconds: float) -> bool:
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def any_left(group: int) -> bool:
    """Return whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def files(project: Project) -> list[str]:
    """List the files of a study that have the same bytes in equal runs, states included."""
    paths = [str(path.relative_to(project.results)) for path in project.results.rglob("*") if path.is_file()]
    return sorted(path for path in paths if path not in TIMED and not path.startswith(("logs/", "benchmarks/")))


def assert_nothing_left(project: Project) -> None:
    """Assert that no half-written file, lock or mark of an unfinished job is left."""
    assert not [path for path in project.results.rglob(".*") if re.fullmatch(UNFINISHED, path.name)]
    for folder in ("locks", "incomplete"):
        assert not list((project.root / ".snakemake" / folder).glob("*")), folder
