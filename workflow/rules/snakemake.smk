# What keeps Snakemake itself quick with thousands of blocks; docs/slurm.md has the figures.
import functools
import gc

import snakemake.common
import snakemake.rules

# Millions of objects are made, and stay: Python need not look for garbage among them, now or later.
gc.disable()

# Snakemake looks up the parameters of the same dozen functions for every job; once each is enough.
parameters = functools.cache(snakemake.common.get_function_params)
snakemake.common.get_function_params = snakemake.rules.get_function_params = parameters


def look_when_a_job_ends():
    """And at no other time, unless a limit on jobs was asked for.

    With its own limit of 100 a second Snakemake looks for what can run once more every second, and once more again for
    every job that has ended: near the end of the default study 60 times a second.
    """
    limit = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def look_for_garbage():
    """From now on, and not in the DAG."""
    gc.freeze()
    gc.enable()
