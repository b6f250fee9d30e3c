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
from typing import Any

import pytest
from cluster import Cluster
from conftest import OnCluster, on

VERDICTS = "claims/verdicts.parquet"
STEPS = 40_000
"""Of the condition that something happens to: about half a minute."""
LONGEST_STEPS = 150_000
"""SLURM looks at time limits every half minute only."""


def settings(steps: int) -> dict[str, Any]:
    """A study of two conditions, one of them with this many steps."""
    long = {"steps": steps, "checkpoints": {"log": 2, "every": steps // 2}, "metrics": {"log": 2, "every": steps // 4}}
    return {"conditions": {"grokking": long, "random_labels": {"label_noise": 1.0}}}


def test_a_cancelled_job_is_submitted_again_and_goes_on(plain_cluster: Cluster, tmp_path: Path) -> None:
    """Also where there is no accounting, which the executor asks by default."""
    here = on(plain_cluster, tmp_path, **settings(STEPS))
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    plain_cluster.command("scancel", job)
    _finishes_once(here, run, done)


def test_a_job_at_its_time_limit_gets_more_time_and_memory_and_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    here = on(cluster, tmp_path, **settings(LONGEST_STEPS))
    run = here.snakemake("--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    end = datetime.now() + timedelta(seconds=1)
    assert cluster.command("scontrol", "update", f"JobId={job}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}").returncode == 0
    _finishes_once(here, run, done)
    first, second = sorted(_jobs(here, "train_block", "grokking"))
    assert [first.state, second.state] == ["TIMEOUT", "COMPLETED"]
    assert second.limit == "02:00:00", "twice the profile's hour"
    assert second.mb == pytest.approx(2 * first.mb, abs=4)


def test_a_lost_node_and_too_little_memory_in_one_study(cluster: Cluster, tmp_path: Path) -> None:
    """The training job loses its node; saliency is given less memory than Snakemake itself needs, at first."""
    here = on(cluster, tmp_path, **settings(STEPS))
    little = ["--set-resources", "extract_saliency:mem_mb=300 * attempt ** 3"]
    run = here.snakemake(*little, "--", f"results/tiny/{VERDICTS}")
    job, done = _training(here)
    node = int(cluster.jobs("%N", "--jobs", job)[0][0].removeprefix("n"))
    cluster.lose_node(node)
    try:
        _finishes_once(here, run, done)
    finally:
        cluster.start_node(node)
    lost, again = sorted(_jobs(here, "train_block", "grokking"))
    assert [lost.state, again.state] == ["NODE_FAIL", "COMPLETED"]
    killed, *_, enough = sorted(_jobs(here, "extract_saliency", "grokking"))
    assert killed.state in ("FAILED", "OUT_OF_MEMORY")
    assert enough.state == "COMPLETED"
    assert enough.mb >= 8 * killed.mb


def test_snakemake_killed_and_started_again_first_ends_what_it_left(cluster: Cluster, tmp_path: Path) -> None:
    """Twice: with plain Snakemake, which has to be unlocked, and with the command that does so itself."""
    here = on(cluster, tmp_path, **settings(LONGEST_STEPS))
    first = here.snakemake()
    job, done = _training(here)
    _kill(here, first, job)
    refused = here.snakemake()
    assert refused.wait(timeout=60) != 0
    assert "--unlock" in here.said
    unlock = [sys.executable, "-m", "snakemake", "--configfile", "config/tiny.yaml", "--unlock"]
    subprocess.run(unlock, cwd=here.project.root, env=here.environment, capture_output=True, check=True)
    second = here.snakemake()
    job, _ = _training(here, after=job)
    _kill(here, second, job)
    command = [sys.executable, "-m", "general_circuits.cli", "run", "--study", "tiny", "--profile", "slurm"]
    _finishes_once(here, here.start(command), done)
    assert (here.results / "report.html").is_file()
    assert here.said.count("Cancelling what an earlier run left in the queue") == 2
    *orphans, last = sorted(_jobs(here, "train_block", "grokking"))
    assert [job.state.split()[0] for job in orphans] == ["CANCELLED", "CANCELLED"]
    assert last.state == "COMPLETED"
    ends, starts = [job.end for job in orphans], [job.start for job in (*orphans[1:], last)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True)), "not waited for"


def _kill(here: OnCluster, run: subprocess.Popen[str], job: str) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert here.cluster.jobs("%T", "--jobs", job) == [["RUNNING"]], "nothing was left behind: the test shows nothing"


@dataclass(frozen=True, order=True)
class Job:
    """A SLURM job, as accounting has it."""

    start: str
    end: str
    state: str
    limit: str
    mb: int


def _jobs(here: OnCluster, rule: str, condition: str) -> list[Job]:
    """All there have been of a rule for a condition."""
    found = []
    for job, start, end, state, limit, asked in here.account(
        "JobID", "Start", "End", "State", "Timelimit", "ReqTRES%99"
    ):
        size = re.search(r"mem=([\d.]+)([MG])", asked)
        assert size is not None
        if _is_of(here, job, rule, condition):
            found.append(Job(start, end, state, limit, round(float(size[1]) * (1024 if size[2] == "G" else 1))))
    return found


def _is_of(here: OnCluster, job: str, rule: str, condition: str) -> bool:
    """Whether a SLURM job was for this; its log says so."""
    logs = list((here.project.root / f".snakemake/slurm_logs/rule_{rule}").rglob(f"{job}.log"))
    return bool(logs) and re.search(rf"--target-jobs {rule}:condition={condition},", logs[0].read_text()) is not None


def _training(here: OnCluster, after: str = "0") -> tuple[str, dict[Path, int]]:
    """The SLURM job that trains `grokking`, once it has kept a state and the other condition is trained; with the dates
    of all that is done.

    Args:
        here: where.
        after: a job submitted before the one that is meant.
    """
    states = here.results / ".state/grokking/0/replica-0"
    before = {path.name for path in states.glob("*/state-*")} if after != "0" else set()
    # Snakemake touches what a job made once it hears that the job has ended.
    _wait(
        lambda: (
            any(path.name not in before for path in states.glob("*/state-*"))
            and "(Rule: train_block)" in here.said
            and bool(_running(here, after))
        ),
        here,
    )
    done = {path: path.stat().st_mtime_ns for path in here.results.glob("runs/*/*/*") if path.is_file()}
    done |= {path: path.stat().st_mtime_ns for path in here.results.glob("tasks/*")}
    assert not (here.results / "runs/grokking/0/metrics.parquet").exists(), "it has ended: the test shows nothing"
    return _running(here, after)[0], done


def _running(here: OnCluster, after: str) -> list[str]:
    jobs = [job for job, folder in here.cluster.jobs("%i %Z", "--states=RUNNING") if folder == str(here.project.root)]
    return [job for job in jobs if _number(job) > _number(after) and _is_of(here, job, "train_block", "grokking")]


def _number(job: str) -> int:
    return int(job.partition("_")[0])


def _finishes_once(here: OnCluster, run: subprocess.Popen[str], done: dict[Path, int]) -> None:
    """The study is finished, training went on from a state, and what was done before was not done again."""
    here.makes(run, [here.results / VERDICTS])
    step = re.search(r"goes on from step ([\d,]+)", here.training_log("grokking"))
    assert step is not None, here.training_log("grokking")
    assert 0 < int(step[1].replace(",", "")) < LONGEST_STEPS
    assert {path: path.stat().st_mtime_ns for path in done} == done


def _wait(is_there: Callable[[], bool], here: OnCluster, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, f"not within {seconds} s:\n{here.said[-4000:]}"
        time.sleep(0.1)
