# The study is read and checked before any rule. Rules get their files and options from JOBS, which is typed code in
# src/general_circuits/pipeline/dag.py.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# This checkout's own code comes first, also in a copy whose environment still names the original.
SOURCE = Path(str(workflow.current_basedir)).parents[1] / "src"
sys.path.insert(0, str(SOURCE))

from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.figures.registry import DRAWINGS
from general_circuits.pipeline import slurm
from general_circuits.running import configs, environment, launch, made_from
from general_circuits.pipeline.costs import timed_jobs
from general_circuits.pipeline.dag import Dag, options, or_all
from general_circuits.records import to_json
from general_circuits.pipeline.fingerprints import fingerprint
from general_circuits.pipeline.memory import SNAKEMAKE_MB, machine_mb
from general_circuits.report.registry import PAGES
from general_circuits.storage.files import OPTIONS, options_of
from general_circuits.storage.schemas import registry as schemas

if unfit := environment.unfit_python() or environment.not_own_code(SOURCE) or environment.unfit_folder():
    raise WorkflowError(unfit)

# SLURM starts every task of a job array with the first task's command. The other tasks switch to their own command.
if command := slurm.own_command(sys.argv, os.environ):
    os.execlp("sh", "sh", "-c", command)

CONFIGS = [Path(file) for file in workflow.config_settings.configfiles]
try:
    JOBS = Dag(load(configs.written(workflow)))
    if workflow.is_main_process:
        launch.check_results(JOBS.results)
        made_from.check(JOBS.results, CONFIGS, Path.cwd())
except (ConfigError, launch.LaunchError, made_from.OtherConfigError) as error:
    raise WorkflowError(str(error)) from None

STUDY = JOBS.study
MEASUREMENTS = STUDY.measurements
SALIENCY = MEASUREMENTS.saliency
PROGRESS, ONSET, UPDATES = MEASUREMENTS.progress_and_updates
ANSWERS, SPIKES = MEASUREMENTS.answers_and_spikes

# Jobs use this interpreter and this checkout, even if no environment is activated.
environment.settle()
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    PYTHONPATH=str(SOURCE),
    # A job that refuses a file names the command that makes it anew, with this study's config.
    **{OPTIONS: options_of(map(os.path.relpath, CONFIGS), workflow.config_settings.config_args or [])},
)

# Jobs that run here at once never need more memory than this machine has, however many cores they get. Jobs sent to a
# cluster do not count. `--resources mem_mb=…` sets another limit.
if "mem_mb" not in workflow.global_resources:
    workflow.register_resource("mem_mb", machine_mb())


def mb(rule):
    """Return the function that says how much memory (MB) a rule's job requests.

    Every retry requests more. On a cluster, a job also needs room for the Snakemake that starts it.
    """

    def requested(wildcards, attempt):
        needed = rule if isinstance(rule, int) else JOBS.mb(rule, wildcards.get("condition"))
        return (needed + (0 if workflow.local_exec else SNAKEMAKE_MB)) * attempt

    return requested


def results_folder(wildcards, output):
    """Return the study's folder, for a stage that reads many of its tables."""
    return Path(output[0]).parents[1]


def first_or_none(name):
    """Return the function that gives the first of a job's inputs of this name, or nothing if it has none."""
    return lambda wildcards, input: input[name][0] if input[name] else ""
