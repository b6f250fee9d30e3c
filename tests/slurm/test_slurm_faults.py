"""Faults on a cluster without accounting.

Every run still ends in verdicts, which need every table. Training resumes from its last state, and no finished job runs
again.
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
from typing import Any

import pytest
from cluster import Cluster
from on_cluster import OnCluster, on

VERDICTS = "results/tiny/claims/verdicts.parquet"
SHORT: dict[str, Any] = {"label_noise": 1.0}
"""Changes for a condition that ends before the fault."""


def long(steps: int) -> dict[str, Any]:
    """Return changes for a condition that is still training at the fault. It takes about a thousand steps a second."""
    return {"steps": steps, "checkpoints": {"log": 2, "every": steps // 2}, "metrics": {"log": 2, "every": steps // 4}}


def test_a_cancelled_job_and_one_at_its_time_limit_run_again(plain_cluster: Cluster, tmp_path: Path) -> None:
    """The executor must ask `squeue`: its default command never gets an answer from this cluster."""
    # SLURM checks time limits only every half minute, so `no_delay` trains longest.
    conditions = {"grokking": long(80_000), "random_labels": SHORT, "no_delay": long(150_000)}
    here = on(plain_cluster, tmp_path, conditions=conditions)
    run = here.snakemake("--", VERDICTS)
    cancelled, limited = _training(here, "grokking"), _training(here, "no_delay")
    done = _done(here)
    plain_cluster.command("scancel", cancelled)
    end = datetime.now() + timedelta(seconds=1)
    plain_cluster.command("scontrol", "update", f"JobId={limited}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")
    _finishes_once(here, run, done, ["grokking", "no_delay"])
    assert [job.state for job in _jobs(here, "train_block", "grokking")] == ["CANCELLED", "COMPLETED"]
    first, second = _jobs(here, "train_block", "no_delay")
    assert [first.state, second.state] == ["TIMEOUT", "COMPLETED"]
    assert second.limit == "2:00:00", "twice the profile's hour"
    assert second.mb == pytest.approx(2 * first.mb, abs=4), "and twice what the rule asked for"


def test_jobs_on_a_lost_node_and_with_too_little_memory_run_again(plain_cluster: Cluster, tmp_path: Path) -> None:
    """The training job loses its node. Saliency first gets less memory than Snakemake itself needs."""
    here = on(plain_cluster, tmp_path, conditions={"grokking": long(60_000), "random_labels": SHORT})
    rule = "  extract_saliency:\n"
    here.project.edit("profiles/slurm/config.yaml", rule, f"{rule}    mem_mb: 300 * attempt ** 3\n")
    run = here.snakemake("--", VERDICTS)
    job = _training(here, "grokking")
    done = _done(here)
    node = int(plain_cluster.jobs("%N", "--jobs", job)[0][0].removeprefix("n"))
    plain_cluster.lose_node(node)
    try:
        _finishes_once(here, run, done, ["grokking"])
    finally:
        plain_cluster.start_node(node)
    assert [job.state for job in _jobs(here, "train_block", "grokking")] == ["NODE_FAIL", "COMPLETED"]
    killed, enough = _jobs(here, "extract_saliency", "grokking")
    assert killed.state in ("FAILED", "OUT_OF_MEMORY")
    assert enough.state == "COMPLETED"
    assert enough.mb >= 8 * killed.mb


def test_a_restarted_snakemake_first_cancels_the_jobs_left_over(plain_cluster: Cluster, tmp_path: Path) -> None:
    """The first restart is plain Snakemake, which must be unlocked. The second is the command, which unlocks itself."""
    conditions = {"grokking": long(100_000), "random_labels": SHORT}
    # Measurements would take minutes, and this test needs none.
    here = on(plain_cluster, tmp_path, conditions={name: {**of, "measurements": []} for name, of in conditions.items()})
    first = here.snakemake()
    job = _training(here, "grokking")
    done = _done(here)
    _kill(here, first, job)
    refused = here.snakemake()
    assert refused.wait(timeout=60) != 0
    assert "--unlock" in here.output
    assert here.project.snakemake("--unlock").returncode == 0
    second = here.snakemake()
    job = _training(here, "grokking", after=job)
    _kill(here, second, job)
    command = [sys.executable, "-m", "general_circuits.cli", "run", "--study", "tiny", "--profile", "slurm"]
    _finishes_once(here, here.start(command), done, ["grokking"])
    assert (here.results / "report.html").is_file()
    assert here.output.count("Cancelling SLURM jobs that an earlier run left in the queue") == 2
    *orphans, last = _jobs(here, "train_block", "grokking")
    assert [job.state for job in (*orphans, last)] == ["CANCELLED", "CANCELLED", "COMPLETED"]
    ends, starts = [job.end for job in orphans], [job.start for job in (*orphans[1:], last)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True)), "a job started too early"


def _kill(here: OnCluster, run: subprocess.Popen[str], job: str) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert here.cluster.jobs("%T", "--jobs", job) == [["RUNNING"]], "no job was left over: the test shows nothing"


@dataclass(frozen=True, order=True)
class Job:
    """SLURM job, as the queue remembers it."""

    number: int
    start: str
    end: str
    state: str
    limit: str
    mb: int


def _jobs(here: OnCluster, rule: str, condition: str) -> list[Job]:
    """Return all jobs of a rule for a condition, in the order of submission."""
    rows = here.cluster.jobs("%i %S %e %T %l %m %Z", "--states=all")
    return sorted(
        Job(_number(job), start, end, state, limit, int(memory.removesuffix("M")))
        for job, start, end, state, limit, memory, folder in rows
        if folder == str(here.project.root) and _is_of(here, job, rule, condition)
    )


def _is_of(here: OnCluster, job: str, rule: str, condition: str) -> bool:
    """Return whether a SLURM job was for this rule and condition, according to its log."""
    logs = list((here.project.root / f".snakemake/slurm_logs/rule_{rule}").rglob(f"{job}.log"))
    return bool(logs) and re.search(rf"--target-jobs {rule}:condition={condition},", logs[0].read_text()) is not None


def _number(job: str) -> int:
    return int(job.partition("_")[0])


def _training(here: OnCluster, condition: str, after: str = "0") -> str:
    """Return the SLURM job that trains a condition.

    Wait until it has kept a state, and until Snakemake knows that the short condition is trained.

    Args:
        here: checkout on the cluster.
        condition: name of the condition.
        after: number of an earlier job. Only later jobs count.
    """

    def running() -> list[str]:
        rows = here.cluster.jobs("%i %Z", "--states=RUNNING")
        jobs = [job for job, folder in rows if folder == str(here.project.root) and _number(job) > _number(after)]
        return [job for job in jobs if _is_of(here, job, "train_block", condition)]

    states = here.results / f".state/{condition}/0/replica-0"
    before = {path.name for path in states.glob("*/state-*")} if _number(after) else set()
    # Snakemake sets new dates on a job's files when it learns of the job's end. `_done` must read the dates later.
    _wait(lambda: "(Rule: train_block)" in here.output, here)
    _wait(lambda: any(path.name not in before for path in states.glob("*/state-*")) and bool(running()), here)
    assert not (here.results / f"runs/{condition}/0/metrics.parquet").exists(), "it ended: the test shows nothing"
    return running()[0]


def _done(here: OnCluster) -> dict[Path, int]:
    """Return the dates of all finished files."""
    files = [*here.results.glob("tasks/*"), *here.results.glob("runs/*/*/*")]
    return {path: path.stat().st_mtime_ns for path in files if path.is_file() and not path.name.startswith(".")}


def _finishes_once(here: OnCluster, run: subprocess.Popen[str], done: dict[Path, int], trained: list[str]) -> None:
    """Assert that the verdicts exist, that training resumed from a state, and that no finished file changed."""
    here.makes(run, [here.project.root / VERDICTS])
    for condition in trained:
        log = here.training_log(condition)
        assert (step := re.search(r"goes on from step ([\d,]+)", log)), log
        assert int(step[1].replace(",", "")) > 0
    assert len(done) >= 5
    assert {path: path.stat().st_mtime_ns for path in done} == done


def _wait(is_there: Callable[[], bool], here: OnCluster, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"not within {seconds} s:\n{here.output[-4000:]}"
        time.sleep(0.1)
