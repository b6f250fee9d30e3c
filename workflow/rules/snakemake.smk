# Content decides what reruns, and texts in the report stay texts. Other settings keep Snakemake itself fast with
# thousands of blocks. docs/slurm.md has the measurements.
import atexit
import functools
import gc
from pathlib import Path

import snakemake.common
import snakemake.rules

from general_circuits.running.digests import Digests
from general_circuits.running.report_texts import stay_texts
from general_circuits.running.reruns import decide_by_content

stay_texts()
digests = Digests(Path(".snakemake/digests.json").absolute())
decide_by_content(digests)


def claim_results():
    """Record which config these results are made from."""
    made_from.keep(JOBS.results, CONFIGS, Path.cwd())


@atexit.register
def keep_records():
    """Keep what the next run needs, also if this run had nothing to do. A dry run keeps nothing."""
    if workflow.is_main_process and workflow.executor_plugin and not workflow.dryrun:
        digests.save()
        claim_results()


# The DAG has millions of objects, and all of them stay. Python need not search them for garbage, now or later.
gc.disable()

# Snakemake inspects the parameters of the same dozen functions for every job. Once per function is enough.
parameters = functools.cache(snakemake.common.get_function_params)
snakemake.common.get_function_params = snakemake.rules.get_function_params = parameters


def schedule_only_when_a_job_ends():
    """Let Snakemake look for ready jobs only when a job ends, unless the user limits the rate of jobs.

    With its default limit of 100 jobs a second, Snakemake looks once more every second, and again for every job that
    has ended. Near the end of the default study this is 60 times a second.
    """
    limit = getattr(workflow.scheduler, "job_rate_limiter", None)
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def collect_garbage_outside_the_dag():
    """Switch garbage collection on again, but leave out the objects of the DAG."""
    gc.freeze()
    gc.enable()


def remove_old_indexes():
    """Remove every index that this run makes again.

    A job that fails loses its files. If the old index and the figures made from it stayed, the next run would find
    nothing to do. With `--touch`, no job makes anything.
    """
    for job in workflow.dag.needrun_jobs() if not workflow.touch else ():
        if job.rule.name == "index_table":
            Path(job.output[0]).unlink(missing_ok=True)
