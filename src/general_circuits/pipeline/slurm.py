"""Workarounds for snakemake-executor-plugin-slurm 2.8.0, for faults that no setting can correct.

Jobs left in the queue. A Snakemake that is killed leaves its jobs in SLURM's queue. If it is started again, it submits
them a second time, and two jobs write the same files. So each run leaves its name in a file before it submits anything.
The next run in the same folder cancels all jobs of that name (`take_over`).

Jobs that never end. On some clusters the plugin never learns that a job has ended. Such clusters are refused
(`check_status_command`).

Job arrays. They have three faults:

- The plugin forgets jobs that it was given (its issue 473; `submit_alike_together`).
- Every job of an array gets the resources that the first one requested (`submit_alike_together`).
- Every task of an array watches over the files of the first one (its issue 447; `own_command`).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import snakemake_executor_plugin_slurm as slurm
import snakemake_executor_plugin_slurm_jobstep as jobstep

from general_circuits.storage.files import STATES

LONGEST_WAIT = 180
"""Longest time, in seconds, between two checks of the executor on its jobs; fixed in the plugin."""


class ClusterError(RuntimeError):
    """Refusal to start on a cluster now. The message says why."""


def record(results: Path) -> Path:
    """Return the file with the name of a study's latest run on a cluster. All SLURM jobs of a run have its name."""
    return results / STATES / "slurm_run"


def cancel(record: Path) -> None:
    """Cancel the jobs of the latest run, if it was on a cluster. The next run waits until they are gone."""
    if record.is_file():
        with contextlib.suppress(ClusterError):
            _output("scancel", "--name", record.read_text(encoding="utf-8").strip())


def take_over(record: Path, run: str | None, say: Callable[[str], None] = print, patience: float = 900) -> None:
    """Cancel jobs that an earlier run left in the queue, wait until they are gone, and record this run.

    Args:
        record: file with the name of the study's latest run on a cluster.
        run: name of this run; `None` if it submits nothing.
        say: receives a line when jobs are cancelled.
        patience: seconds to wait for the jobs to go.

    Raises:
        ClusterError: jobs are still there after that time.
    """
    if record.is_file() and shutil.which("squeue"):
        earlier = record.read_text(encoding="utf-8").strip()
        deadline, said = time.monotonic() + patience, False
        while jobs := _queued(earlier):
            if not said:
                say(f"Cancelling SLURM jobs that an earlier run left in the queue: {' '.join(jobs)}")
                _output("scancel", "--name", earlier)
                said = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"SLURM jobs of an earlier run are still there: {' '.join(jobs)}. They would write the same files"
                    " as this run. If their node is lost, ask the cluster's administrators; then start again"
                )
            time.sleep(1)
    if run is None:
        record.unlink(missing_ok=True)
    else:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(run + "\n", encoding="utf-8")


def check_status_command(command: str) -> None:
    """Refuse a status command with which Snakemake would wait for ever on this cluster.

    Args:
        command: the command by which the executor learns the state of jobs, `squeue` or `sacct`.

    Raises:
        ClusterError: `squeue` forgets finished jobs before the executor checks again, or `sacct` has no database.
    """
    settings = dict(re.findall(r"^(\w+)\s+= (.*)$", _output("scontrol", "show", "config"), re.MULTILINE))
    remembered = int(settings["MinJobAge"].split()[0])
    if command == "squeue" and remembered <= LONGEST_WAIT:
        raise ClusterError(
            f"squeue forgets a finished job after {remembered} s here (MinJobAge). Snakemake checks as rarely as every"
            f" {LONGEST_WAIT} s, so it would wait for ever. Set slurm-status-command: sacct in"
            " profiles/slurm/config.yaml. Then end no single job with scancel, because Snakemake does not know the word"
            " that sacct has for it"
        )
    if command == "sacct" and settings["AccountingStorageType"] in ("accounting_storage/none", "(null)"):
        raise ClusterError(
            "this cluster has no accounting database. Without one, sacct reports nothing and Snakemake would wait for"
            " ever. Set slurm-status-command: squeue in profiles/slurm/config.yaml"
        )


def submit_alike_together() -> None:
    """Make the executor submit every job that it gets, and put only jobs with equal requests into one array."""
    # Snakemake gives each job to the executor only once, so the executor must not wait for more jobs of a rule.
    slurm.pending_jobs_for_rule = lambda dag, rule: 0
    one_rule_at_a_time = slurm.Executor.run_jobs

    def run_jobs(self: Any, jobs: Sequence[Any]) -> None:
        for _, alike in itertools.groupby(sorted(jobs, key=_request), _request):
            one_rule_at_a_time(self, list(alike))

    slurm.Executor.run_jobs = run_jobs


def _request(job: Any) -> str:
    """Return a job's rule, resources and attempt as text. Jobs with equal text can share an array."""
    return json.dumps([job.name, dict(job.resources), job.attempt], sort_keys=True, default=str)


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return the command that a task of a job array should run instead of this one; `None` if this one is right.

    The plugin starts every task with the command of the array's first task. It would wait for the first task's files,
    and delete them if it failed. The commands of all other tasks are packed into one of its arguments.

    Args:
        arguments: arguments of this process.
        environment: environment of this process.
    """
    commands = [word.partition("=")[2] for word in arguments if word.startswith("--slurm-jobstep-array-execs=")]
    task = environment.get("SLURM_ARRAY_TASK_ID")
    if not commands or task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return None
    return str(jobstep._decompress_array_task_call(commands[0], int(task)))


def _queued(name: str) -> list[str]:
    """Return the ids of a run's jobs that have not ended. Jobs that are ending are still among them."""
    return _output("squeue", "--noheader", "--name", name, "--format", "%i").split()


def _output(*command: str) -> str:
    """Return what a command prints; fail with what it says on stderr."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise ClusterError(f"{' '.join(command)}: {reason}".strip()) from None
