# How Snakemake and its jobs stop, and what it says beside another run.
import logging

import snakemake.exceptions
from snakemake.exceptions import WorkflowError

from general_circuits.pipeline import slurm
from general_circuits.running import lock, stopping

# On a full disk, Snakemake's log would print a traceback for every line that it cannot keep.
logging.raiseExceptions = False

# Until jobs run (`stop_when_asked`), a signal ends Snakemake at once.
stopping.handle(stopping.leave)

# A terminal sends Ctrl-C to jobs as well. They leave it to Snakemake, which asks them to stop. With `exec`, no shell
# stands between the two.
shell.prefix("set -euo pipefail; trap '' INT HUP QUIT; exec ")


class InUse(snakemake.exceptions.LockException):
    """Snakemake's refusal to start beside another run, which names that run."""

    def __init__(self):
        killed = "a killed run has left its lock here; `general-circuits run` or `snakemake --unlock` removes it"
        WorkflowError.__init__(self, lock.holder(Path.cwd()) or killed)


snakemake.exceptions.LockException = InUse


def stop_when_asked():
    """Let signals end this run and its jobs. First, end the jobs of a killed run and remove what they were writing."""
    stopping.end_orphans(JOBS.results)
    stopping.remove_unfinished(JOBS.results)
    stopping.end_jobs_on_signals(workflow.scheduler, logger, lambda: slurm.cancel(slurm.record(JOBS.results)))
