"""What goes wrong on clusters, each on a study of two conditions: it always ends in verdicts, which need every table,
and nothing that was done is done again.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cluster import Cluster
from conftest import OnCluster, on

VERDICTS = "claims/verdicts.parquet"
STEPS = 12_000
"""Of the condition that something happens to: some tens of seconds."""
LONG = {
    "conditions": {
        "grokking": {"steps": STEPS, "checkpoints": {"log": 2, "every": 6000}, "metrics": {"log": 2, "every": 2000}},
        "random_labels": {"label_noise": 1.0},
    }
}


def test_a_cancelled_job_is_submitted_again_and_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path, **LONG)
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    cluster.command("scancel", job)
    _finishes_once(here, run, done)


def test_a_cancelled_job_is_noticed_without_accounting_too(plain_cluster: Cluster, tmp_path: Path) -> None:
    here = on(plain_cluster, tmp_path, **LONG)
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    plain_cluster.command("scancel", job)
    _finishes_once(here, run, done)


def test_a_job_at_its_time_limit_gets_a_longer_one_and_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path, **LONG)
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    end = datetime.now() + timedelta(seconds=1)
    assert cluster.command("scontrol", "update", f"JobId={job}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}").returncode == 0
    _finishes_once(here, run, done)
    first, second = sorted(_trainings(here, "grokking"))
    assert [first.state, second.state] == ["TIMEOUT", "COMPLETED"]
    assert [first.limit, second.limit] == ["01:00:00", "02:00:00"]
    assert second.mb == 2 * first.mb


def test_a_job_that_needs_more_memory_gets_more(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path)
    verdicts = here.results / VERDICTS
    options = ["--set-resources", "train_block:mem_mb=420 * attempt ** 2"]
    here.makes(here.snakemake(*options, "--", *here.relative([verdicts])), [verdicts])
    asked = {job.state: job.mb for job in _trainings(here)}
    assert asked.pop("COMPLETED") >= 4 * 420
    assert list(asked.values()) == [pytest.approx(420, abs=2)], asked


def test_a_job_on_a_node_that_is_lost_runs_on_another(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path, **LONG)
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    node = cluster.jobs("%N", "--jobs", job)[0][0]
    cluster.lose_node(int(node[1:]))
    try:
        _finishes_once(here, run, done)
        assert "NODE_FAIL" in {job.state for job in _trainings(here)}
    finally:
        cluster.start_node(int(node[1:]))
        _wait(lambda: cluster.states() == ["idle"] * cluster.nodes, "the node came back")


@pytest.mark.parametrize("restart", ["snakemake", "general-circuits"])
def test_snakemake_killed_and_started_again_first_ends_what_it_left(
    restart: str, cluster: Cluster, tmp_path: Path
) -> None:
    here = on(cluster, tmp_path, **LONG)
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert cluster.jobs("%T", "--jobs", job) == [["RUNNING"]], "nothing was left behind: the test shows nothing"
    if restart == "snakemake":
        refused = here.snakemake("--", f"results/tiny/{VERDICTS}")
        assert refused.wait(timeout=60) != 0
        assert "--unlock" in here.said
        unlock = [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", "--unlock"]
        subprocess.run(unlock, cwd=here.project.root, env=here.environment, check=True)
        again = here.snakemake("--", f"results/tiny/{VERDICTS}")
    else:
        command = [sys.executable, "-m", "general_circuits.cli", "run", "--study", "tiny", "--profile", "slurm"]
        again = here.start(command)
    _finishes_once(here, again, done)
    assert "Cancelling what an earlier run left in the queue" in here.said
    orphan, *later = sorted(_trainings(here, "grokking"))
    assert orphan.state.startswith("CANCELLED")
    assert min(job.start for job in later) >= orphan.end, "the restart did not wait for what it cancelled"


@dataclass(frozen=True, order=True)
class Training:
    """A SLURM job that trained."""

    start: str
    end: str
    state: str
    limit: str
    mb: int


def _trainings(here: OnCluster, condition: str = "") -> list[Training]:
    """Those of a condition, or of all."""
    found = []
    for job, comment, start, end, state, limit, asked in here.account(
        "JobID", "Comment%99", "Start", "End", "State", "Timelimit", "ReqTRES%99"
    ):
        if comment.startswith("rule_train_block") and (not condition or _trains(here, job, condition)):
            megabytes = re.search(r"mem=([\d.]+)([MG])", asked)
            assert megabytes is not None
            found.append(
                Training(start, end, state, limit, int(float(megabytes[1]) * (1024 if megabytes[2] == "G" else 1)))
            )
    return found


def _training(here: OnCluster) -> tuple[str, dict[Path, int]]:
    """The SLURM job that trains `grokking`, once it has kept a state and the other condition is trained; with the dates
    of all that is done.
    """
    states, other = here.results / ".state/grokking/0/replica-0", here.results / "runs/random_labels/0/metrics.parquet"
    _wait(lambda: bool(list(states.glob("*/state-*"))) and other.is_file(), "training", here)
    done = {path: path.stat().st_mtime_ns for path in here.results.glob("runs/*/*/*") if path.is_file()}
    done |= {path: path.stat().st_mtime_ns for path in here.results.glob("tasks/*")}
    assert not (here.results / "runs/grokking/0/metrics.parquet").exists(), "it has ended: the test shows nothing"
    for job, folder in here.cluster.jobs("%i %Z", "--states=RUNNING"):
        if folder == str(here.project.root) and _trains(here, job, "grokking"):
            return job, done
    raise AssertionError("no job trains")


def _trains(here: OnCluster, job: str, condition: str) -> bool:
    logs = list((here.project.root / ".snakemake/slurm_logs").rglob(f"{job}.log"))
    return bool(logs) and re.search(rf"Training {condition}, block", logs[0].read_text()) is not None


def _finishes_once(here: OnCluster, run: subprocess.Popen[str], done: dict[Path, int]) -> None:
    """The study is finished, training went on from a state, and what was done before was not done again."""
    here.makes(run, [here.results / VERDICTS])
    step = re.search(r"goes on from step ([\d,]+)", here.training_log("grokking"))
    assert step is not None, here.training_log("grokking")
    assert 0 < int(step[1].replace(",", "")) < STEPS
    assert {path: path.stat().st_mtime_ns for path in done} == done


def _wait(is_there: Callable[[], bool], what: str, here: OnCluster | None = None, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s\n{here.said[-4000:] if here else ''}"
        time.sleep(0.05)
