"""Calls of SLURM's commands, with fake commands that give the wanted answers; tests/slurm has a real cluster."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as slurm

from general_circuits.pipeline.slurm import (
    ClusterError,
    cancel,
    check_status_command,
    own_command,
    submit_alike_together,
    take_over,
)


def command(folder: Path, name: str, script: str) -> None:
    """Write a SLURM command of that name, which notes its call and runs this script."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{script}\n')
    path.chmod(0o755)


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that comes first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def queue(commands: Path, *jobs: str) -> None:
    """Write commands with a queue that holds these jobs until one is cancelled."""
    (commands / "queue").write_text("\n".join(jobs))
    command(commands, "squeue", f"cat {commands}/queue")
    command(commands, "scancel", f": > {commands}/queue")


def test_jobs_of_an_earlier_run_are_cancelled_and_the_new_one_is_recorded(tmp_path: Path, commands: Path) -> None:
    queue(commands, "7_1", "7_2", "9")
    record, said = tmp_path / "state/run", []
    take_over(record, "first", said.append)
    assert not (commands / "calls").exists(), "nothing was recorded, so nothing is asked"
    take_over(record, "second", said.append)
    assert said == ["Cancelling SLURM jobs that an earlier run left in the queue: 7_1 7_2 9"]
    calls = (commands / "calls").read_text().splitlines()
    assert calls[:2] == ["squeue --noheader --name first --format %i", "scancel --name first"]
    assert record.read_text() == "second\n"


def test_jobs_that_do_not_end_are_named_and_the_new_run_is_not_recorded(tmp_path: Path, commands: Path) -> None:
    queue(commands, "7")
    command(commands, "scancel", "")
    record = tmp_path / "run"
    record.write_text("first\n")
    with pytest.raises(ClusterError, match=r"still there: 7\."):
        take_over(record, "second", lambda line: None, patience=0)
    assert record.read_text() == "first\n"


def test_a_run_that_is_stopped_cancels_its_jobs_and_keeps_its_name_for_the_next(tmp_path: Path, commands: Path) -> None:
    queue(commands, "7")
    record = tmp_path / "run"
    cancel(record)
    assert not (commands / "calls").exists(), "the run was not on a cluster"
    record.write_text("first\n")
    cancel(record)
    assert (commands / "calls").read_text() == "scancel --name first\n"
    assert record.read_text() == "first\n"
    command(commands, "scancel", "exit 1")
    cancel(record)  # the next run waits for the jobs, and says what is wrong


def test_a_run_that_submits_nothing_leaves_no_name(tmp_path: Path, commands: Path) -> None:
    queue(commands)
    record = tmp_path / "run"
    record.write_text("first\n")
    take_over(record, None)
    assert not record.exists()


def test_a_command_that_fails_is_quoted(tmp_path: Path, commands: Path) -> None:
    command(commands, "squeue", "echo no controller >&2; exit 1")
    record = tmp_path / "run"
    record.write_text("first\n")
    with pytest.raises(ClusterError, match=r"squeue .*: no controller"):
        take_over(record, "second")


@pytest.mark.parametrize(
    ("asks", "remembered", "accounting", "refusal"),
    [
        ("squeue", 300, "accounting_storage/none", None),
        ("squeue", 60, "accounting_storage/slurmdbd", "forgets a finished job after 60 s"),
        ("sacct", 60, "accounting_storage/slurmdbd", None),
        ("sacct", 300, "accounting_storage/none", "no accounting database"),
    ],
)
def test_a_cluster_on_which_snakemake_would_wait_for_ever_is_refused(
    commands: Path, asks: str, remembered: int, accounting: str, refusal: str | None
) -> None:
    config = f"AccountingStorageType   = {accounting}\\nMinJobAge               = {remembered} sec"
    command(commands, "scontrol", f"printf '{config}\\n'")
    if refusal is None:
        check_status_command(asks)
    else:
        with pytest.raises(ClusterError, match=refusal):
            check_status_command(asks)


def test_jobs_with_different_requests_are_submitted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job of an array gets the resources of its first job, so a job on its second try would get too little."""
    submitted: list[list[str]] = []
    monkeypatch.setattr(slurm.Executor, "run_jobs", lambda self, jobs: submitted.append([job.id for job in jobs]))
    monkeypatch.setattr(slurm, "pending_jobs_for_rule", slurm.pending_jobs_for_rule)
    submit_alike_together()

    def job(identity: str, rule: str, attempt: int, mem_mb: int) -> Any:
        return SimpleNamespace(id=identity, name=rule, attempt=attempt, resources={"mem_mb": mem_mb, "runtime": 60})

    small, again, small_too = job("a", "train", 1, 900), job("b", "train", 2, 1800), job("c", "train", 1, 900)
    other, larger = job("d", "ablate", 1, 900), job("e", "train", 1, 1200)
    slurm.Executor.run_jobs(None, [small, again, small_too, other, larger])
    assert sorted(submitted) == [["a", "c"], ["b"], ["d"], ["e"]]
    dag = SimpleNamespace(ready_jobs=[SimpleNamespace(rule=SimpleNamespace(name="train"))] * 3)
    assert slurm.pending_jobs_for_rule(dag, "train") == 0, "the executor must not wait for jobs that --jobs holds back"


def test_a_task_of_an_array_finds_its_own_command_and_the_first_needs_none() -> None:
    packed = {"2": zlib.compress(b"echo two").hex(), "3": zlib.compress(b"echo three").hex()}
    arguments = ["snakemake", f"--slurm-jobstep-array-execs={base64.b64encode(json.dumps(packed).encode()).decode()}"]
    first = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1"}
    third = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1"}
    assert own_command(arguments, first) is None
    assert own_command(arguments, third) == "echo three"
    assert own_command(arguments, {}) is None
    assert own_command(["snakemake"], third) is None
