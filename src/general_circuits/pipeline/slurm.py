"""What snakemake-executor-plugin-slurm 2.8.0 does wrong, and settings cannot put right.

Snakemake killed outright leaves its jobs in the queue. Started again, it would submit them a second time, and two would
write the same files: so each run leaves its name in a file before it submits anything, and the next one in the same
folder cancels what that name still has in the queue (`take_over`).

On some clusters it never learns that a job has ended: these are refused (`check_status_command`).

Job arrays have three faults: jobs that it is given and forgets (its issue 473), jobs that get what the first of an
array asked for (both: `submit_alike_together`), tasks that watch over the first one's files (its issue 447,
`own_command`).
"""

from __future__ import annotations

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

LONGEST_WAIT = 180
"""Seconds between two looks of the executor at its jobs, at most; snakemake-executor-plugin-slurm has it fixed."""


class ClusterError(RuntimeError):
    """A cluster on which nothing can be started now; the message says why."""


def take_over(record: Path, run: str | None, say: Callable[[str], None] = print, patience: float = 900) -> None:
    """Cancel what an earlier run left in the queue, wait until it is gone, and record this one.

    Args:
        record: where a study's latest run on a cluster has left its name, the name of all its SLURM jobs.
        run: this run's name; `None` if it submits nothing.
        say: receives a line about what is being done.
        patience: seconds until the jobs must be gone.

    Raises:
        ClusterError: they are still there.
    """
    if record.is_file() and shutil.which("squeue"):
        earlier = record.read_text(encoding="utf-8").strip()
        deadline, said = time.monotonic() + patience, False
        while jobs := _queued(earlier):
            if not said:
                say(f"Cancelling what an earlier run left in the queue: SLURM jobs {' '.join(jobs)}")
                _output("scancel", "--name", earlier)
                said = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"an earlier run's SLURM jobs are still there, and would write beside this run's:"
                    f" {' '.join(jobs)}. If their node is lost, ask the cluster's administrators; then start again"
                )
            time.sleep(1)
    if run is None:
        record.unlink(missing_ok=True)
    else:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(run + "\n", encoding="utf-8")


def check_status_command(command: str) -> None:
    """Refuse a way of asking for the state of jobs that would wait for ever on this cluster.

    Args:
        command: the executor's, `squeue` or `sacct`.

    Raises:
        ClusterError: `squeue` forgets finished jobs before the executor looks again, or `sacct` has no database.
    """
    settings = dict(re.findall(r"^(\w+)\s+= (.*)$", _output("scontrol", "show", "config"), re.MULTILINE))
    remembered = int(settings["MinJobAge"].split()[0])
    if command == "squeue" and remembered <= LONGEST_WAIT:
        raise ClusterError(
            f"squeue forgets a finished job after {remembered} s here (MinJobAge), and Snakemake may look only every"
            f" {LONGEST_WAIT} s: it would wait for ever. Set slurm-status-command: sacct in profiles/slurm/config.yaml,"
            " and end no single job with scancel then: that, sacct reports in words that Snakemake does not know"
        )
    if command == "sacct" and settings["AccountingStorageType"] in ("accounting_storage/none", "(null)"):
        raise ClusterError(
            "this cluster has no accounting database, without which sacct says nothing and Snakemake would wait for"
            " ever. Set slurm-status-command: squeue in profiles/slurm/config.yaml"
        )


def submit_alike_together() -> None:
    """Have the executor submit every job that it is given, and as one array only jobs that ask for the same."""
    # What it is given it is never given again; it must not wait for more jobs of a rule.
    slurm.pending_jobs_for_rule = lambda dag, rule: 0
    one_rule_at_a_time = slurm.Executor.run_jobs

    def run_jobs(self: Any, jobs: Sequence[Any]) -> None:
        for _, alike in itertools.groupby(sorted(jobs, key=_request), _request):
            one_rule_at_a_time(self, list(alike))

    slurm.Executor.run_jobs = run_jobs


def _request(job: Any) -> str:
    """What a job asks SLURM for, and of which rule it is."""
    return json.dumps([job.name, dict(job.resources), job.attempt], sort_keys=True, default=str)


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What a task of a job array should run instead of what it was started as; `None` if that is right.

    Every task is started as the array's first: it would wait for that one's files, and delete them if it failed itself.
    Its own command is among its arguments.

    Args:
        arguments: of this process.
        environment: of this process.
    """
    commands = [word.partition("=")[2] for word in arguments if word.startswith("--slurm-jobstep-array-execs=")]
    task = environment.get("SLURM_ARRAY_TASK_ID")
    if not commands or task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return None
    return str(jobstep._decompress_array_task_call(commands[0], int(task)))


def _queued(name: str) -> list[str]:
    """The jobs of a run that have not ended, those that are ending included."""
    return _output("squeue", "--noheader", "--name", name, "--format", "%i").split()


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise ClusterError(f"{' '.join(command)}: {said}".strip()) from None
