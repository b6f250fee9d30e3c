# The study, read and checked before any rule; and what rules ask of it.
import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

import general_circuits
from general_circuits.pipeline import slurm
from general_circuits.records import flat, to_json
from general_circuits.config.branch import replay_refusal
from general_circuits.claims.registry import CLAIMS
from general_circuits.training.schedule import evenly_chosen
from general_circuits.config.study import ConfigError, load
from general_circuits.pipeline.memory import SNAKEMAKE_MB, Size, machine_mb, toy_mb
from general_circuits.figures.registry import DRAWINGS, FIGURES, FRONT_PAGE, drawings
from general_circuits.pipeline.fingerprints import fingerprint
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas
from general_circuits.storage.tables import files
from general_circuits.tasks import registry

# A task of a job array that SLURM started as another one: see `cluster`.
if own := cluster.own_command(sys.argv, os.environ):
    os.execlp("sh", "sh", "-c", own)

try:
    STUDY = load(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RESULTS = Path("results") / STUDY.study
RESOLVED = STUDY.resolved()["conditions"]
CONDITIONS = {name: settings.resolve() for name, settings in STUDY.conditions.items()}
BRANCHES = STUDY.branches
PARENTS = {name: STUDY.conditions[name].branch.parent for name in BRANCHES}
# Those that figures of the whole study show: no branches, and measured for more than a claim; or all.
SHOWN = [name for name in STUDY.measured_throughout if name not in BRANCHES] or list(CONDITIONS)
TASKS = {registry.file_stem(condition.task): condition.task for condition in CONDITIONS.values()}
SIZES = {name: Size.of(condition) for name, condition in CONDITIONS.items()}
# What conditions are, as claims find them by.
FLAT = {name: flat(RESOLVED[name]) | {"examples.training": SIZES[name].n_training} for name in CONDITIONS}
MEASURED = [name for name, claim in CLAIMS.items() if claim.is_measured]
SPECIFIED = [name for name in MEASURED if CLAIMS[name].specified]
OF_BLOCKS = [name for name in schemas.of_blocks() if name not in STUDY.absent]
TOY, PLANTED = STUDY.duels.toy, STUDY.duels.planted
TOY_GRID = TOY.resolve(STUDY.replicas, STUDY.first_seed) if TOY else None
if PLANTED:
    # Modules share the task and the split of this condition, which is no part of the study's own.
    MODULES, PLANTING, DUELS = PLANTED.resolve()
    TASKS[registry.file_stem(MODULES.task)] = MODULES.task
AXES = {
    "condition": list(CONDITIONS),
    "block": list(range(STUDY.blocks)),
    "claim": MEASURED,
    "optimiser": list(TOY.rules) if TOY else [],
}
DRAWN = drawings(STUDY.absent, STUDY.lacking)
FRONT = [drawing for drawing in FRONT_PAGE if drawing in DRAWN]
SALIENCY = STUDY.measurements.saliency
PROGRESS, ONSET, UPDATES = STUDY.measurements.wild
ANSWERS, SPIKES = STUDY.measurements.watched

# Jobs run this interpreter and this checkout, whether or not an environment is activated.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    PYTHONPATH=str(Path(general_circuits.__file__).parents[1]),
)

# One weights file per replica of a block, numbered within it; the header says which replica it is.
WEIGHTS, REPLAYED_WEIGHTS, ONSET_WEIGHTS, SPIKE_WEIGHTS = (
    expand(
        "<results>/{folder}/weights-{position}.safetensors",
        folder=folder,
        position=range(STUDY.block),
    )
    for folder in (
        "runs/{condition}/{block}",
        "replays/{condition}/{block}/{replay}",
        "onset/{condition}/{block}",
        "spikes/{condition}/{block}",
    )
)

# What a branch reads of its parent, its metrics first.
PARENT_FILES = ("metrics", "split", "events")

# Where a block's training states are: beside the study's results, not among them, since a rerun wipes outputs.
STATES = f"{RESULTS}/.state/{{condition}}/{{block}}"

TRAINING_CODE = fingerprint("stages.train_block")

# However many cores are asked for, jobs that run here need no more memory together than this machine has. Jobs sent to
# a cluster do not count; `--resources mem_mb=…` sets another limit.
if "mem_mb" not in workflow.global_resources:
    workflow.register_resource("mem_mb", machine_mb())


def task_of(wildcards):
    """The table of the task that a condition trains on."""
    return f"<results>/tasks/{registry.file_stem(CONDITIONS[wildcards.condition].task)}.parquet"


def task_family(wildcards):
    """The module that computes a task."""
    return registry.family_module(TASKS[wildcards.task])


def parent_files(wildcards):
    """What a branch begins from; nothing for any other condition."""
    if wildcards.condition not in BRANCHES:
        return []
    files_needed = [f"<results>/runs/{PARENTS[wildcards.condition]}/{{block}}/{name}.parquet" for name in PARENT_FILES]
    kick = BRANCHES[wildcards.condition].intervention.kick
    return files_needed + ([f"<results>/runs/{kick}/{{block}}/metrics.parquet"] if isinstance(kick, str) else [])


def parent_metrics(wildcards):
    """Those of a branch's parent, whose history it has."""
    return parent_files(wildcards)[:1]


def branch_options(wildcards, input):
    """How a condition continues another one, as the stage takes it."""
    name = wildcards.condition
    if name not in BRANCHES:
        return options(branch='""', parent=".", parent_states=".", as_kicked='""')
    return options(
        branch=shlex.quote(to_json(BRANCHES[name])),
        parent=Path(input.parent[0]).parent,
        parent_states=STATES.format(condition=PARENTS[name], block=wildcards.block),
        as_kicked=input.parent[-1] if len(input.parent) > len(PARENT_FILES) else '""',
    )


def onset_weights(wildcards):
    """Checkpoints around onset, replayed; of a branch there are none."""
    return [] if wildcards.condition in BRANCHES else ONSET_WEIGHTS


def replay_options(wildcards):
    """The options that a replay's name stands for."""
    if wildcards.condition in BRANCHES:
        raise WorkflowError(f"{wildcards.condition}: {replay_refusal(PARENTS[wildcards.condition])}")
    first, last, checkpoints, metrics = re.findall(r"\d+", wildcards.replay)
    return f"--events= --first {first} --last {last} --checkpoints-every {checkpoints} --metrics-every {metrics}"


def onset_options(wildcards, input):
    """The options of the replay around each replica's onset."""
    every = f"--checkpoints-every {ONSET.every} --metrics-every {ONSET.every}"
    return f"--events {input.events} --first={-ONSET.before} --last {ONSET.after} {every}"


def requested_mb(needed, attempt):
    """Memory that a job asks for: more whenever it is tried again; on a cluster, with room for what starts it there."""
    return (needed + (0 if workflow.local_exec else SNAKEMAKE_MB)) * attempt


def training_mb(wildcards, attempt):
    """Memory of a training job."""
    name = wildcards.condition
    return requested_mb(SIZES[name].training_mb(name in BRANCHES), attempt)


def saliency_mb(wildcards, attempt):
    """Memory of a saliency job."""
    return requested_mb(SIZES[wildcards.condition].saliency_mb(STUDY.attributions), attempt)


def example_saliency_mb(wildcards, attempt):
    """Memory of a job that keeps every example's saliency."""
    return requested_mb(SIZES[wildcards.condition].example_saliency_mb(STUDY.attributions), attempt)


def example_saliency():
    """The files of the checkpoints of which every example's saliency is kept."""
    table, files_wanted = schemas.table("example_saliency"), []
    for name in STUDY.measured("saliency") if SALIENCY.by_example else ():
        if name in BRANCHES:
            continue  # whose steps are known once its parent is trained
        condition = CONDITIONS[name]
        steps = condition.schedule.checkpoints.steps(condition.schedule.steps)
        axes = {"condition": [name], "block": AXES["block"], "step": evenly_chosen(steps, SALIENCY.by_example)}
        files_wanted += [f"<results>/{file}" for file in files(table, axes)]
    return files_wanted


def ablation_mb(wildcards, attempt):
    """Memory of an ablation job."""
    return requested_mb(SIZES[wildcards.condition].ablation_mb(STUDY.deletions), attempt)


def progress_mb(wildcards, attempt):
    """Memory of a job that measures progress."""
    return requested_mb(SIZES[wildcards.condition].progress_mb(), attempt)


def updates_mb(wildcards, attempt):
    """Memory of a job that tracks updates."""
    return requested_mb(SIZES[wildcards.condition].updates_mb(), attempt)


def answers_mb(wildcards, attempt):
    """Memory of a job that records answers."""
    return requested_mb(SIZES[wildcards.condition].answers_mb(how_many(ANSWERS.checkpoints), STUDY.block), attempt)


def spikes_mb(wildcards, attempt):
    """Memory of a job that watches for spikes."""
    return requested_mb(SIZES[wildcards.condition].spikes_mb(SPIKES.most, STUDY.block), attempt)


def short_mb(wildcards, attempt):
    """Memory of a job that handles one block's tables."""
    return requested_mb(500, attempt)


def options(**values):
    """Options of a stage that are the same for every job of a rule, as the command line has them."""
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in values.items())


def how_many(number):
    """A number of checkpoints, or of sizes, as the stages take it: 0 for all."""
    return 0 if number == "all" else number


def deletion_options(asked, attributions):
    """The options of ablation, which ranks by all attributions or by the registered one."""
    lists = ("sites", "deletions", "rankings", "dead_units", "splits")
    return options(
        **{name: ",".join(getattr(asked, name)) for name in lists},
        attributions=attributions,
        k_points=how_many(asked.k_points),
        random_draws=asked.random_draws,
        examples=asked.examples,
        steps=how_many(asked.checkpoints),
        device=STUDY.device,
    )


def axes_of(name, axes):
    """The axes with those of the conditions, and of the claims, that have this table."""
    if name == "specification":
        return axes | {"claim": SPECIFIED}
    measurement = schemas.table(name).measurement
    if not measurement:
        return axes
    measured = set(STUDY.measured(measurement))
    return axes | {"condition": [condition for condition in axes["condition"] if condition in measured]}


def study_tables(names, axes):
    """All of the study's files of these tables."""
    return [f"<results>/{file}" for name in names for file in files(schemas.table(name), axes_of(name, axes))]


def whole_tables(names):
    """What stands for all of the study's files of these tables: their indexes, or the files where there are few."""
    indexes = [f"<results>/index/{name}.sha256" for name in names if name in OF_BLOCKS]
    return indexes + study_tables([name for name in names if name not in OF_BLOCKS], AXES)


def remove_old_indexes():
    """Remove every index that is about to be made anew.

    A job that fails loses its files. Were the index of before still there, and the figures made from it, the next run
    would look no further and find nothing to do.
    """
    for job in workflow.dag.needrun_jobs():
        if job.rule.name == "index_table":
            Path(job.output[0]).unlink(missing_ok=True)


def axes_option(names, axes):
    """The axes of each of these tables, as a stage takes them."""
    along = {name: axes_of(name, axes) for name in names}
    return json.dumps({name: {axis: along[name][axis] for axis in schemas.table(name).axes} for name in names})


@functools.cache
def settings_option():
    """All of the study's settings, as a stage takes them; put together when a page asks, not at the start of every job."""
    return json.dumps(STUDY.resolved())


def modules_mb(wildcards, attempt):
    """Memory of a job that trains or compares a duel's modules."""
    return requested_mb(Size.of(MODULES).modules_mb(max(PLANTING.parts)), attempt)


def toys_mb(wildcards, attempt):
    """Memory of a job that trains toys."""
    return requested_mb(toy_mb(TOY_GRID), attempt)


@functools.cache
def claim_conditions(claim):
    """The conditions that a claim is judged from."""
    return CLAIMS[claim].among(FLAT)


def claim_axes(wildcards):
    """The axes with these conditions."""
    return AXES | {"condition": claim_conditions(wildcards.claim)}


def claim_reads(wildcards):
    """The names of the tables that a claim reads; none where something it needs is missing."""
    claim = CLAIMS[wildcards.claim]
    beside = [name for name in claim.tables_beside if study_tables([name], claim_axes(wildcards))]
    return [] if claim_lacks(wildcards) else [*claim.tables, *beside]


def claim_tables(wildcards):
    """The files of these tables."""
    return study_tables(claim_reads(wildcards), claim_axes(wildcards))


def claim_lacks(wildcards):
    """What a claim needs and this study has not, in words; nothing where it can be judged."""
    claim = CLAIMS[wildcards.claim]
    missing = [f"condition {name}" for name in claim.needs if name not in CONDITIONS]
    missing += [variants.words for variants in claim.needs_variants if not variants.of(FLAT)]
    missing += dict.fromkeys(STUDY.absent[name] for name in claim.tables if name in STUDY.absent)
    for measurement in dict.fromkeys(schemas.table(name).measurement for name in claim.tables):
        measured = STUDY.measured(measurement) if measurement else []
        unmeasured = set(CONDITIONS) - set(measured) if measured else ()
        missing += [f"{measurement} of {name}" for name in claim.needs if name in unmeasured]
    return " and ".join(f"no {name}" for name in dict.fromkeys(missing))


def specified(wildcards):
    """The tables that a claim's specification curve is made from; none where it has none, or a condition is missing."""
    claim = CLAIMS[wildcards.claim]
    is_possible = STUDY.measurements.specifications and not claim_lacks(wildcards)
    return claim.specified if is_possible else ()


def specified_axes(wildcards):
    """The axes with the conditions that a specification curve reads."""
    return AXES | {"condition": list(CLAIMS[wildcards.claim].needs)}


def specified_tables(wildcards):
    """The files of those tables."""
    return study_tables(specified(wildcards), specified_axes(wildcards))


def specified_saliency_mb(wildcards, attempt):
    """Memory of a saliency job for specification curves."""
    return requested_mb(SIZES[wildcards.condition].saliency_mb(STUDY.specified_attributions), attempt)


def specified_damage_mb(wildcards, attempt):
    """Memory of an ablation job for specification curves."""
    return requested_mb(SIZES[wildcards.condition].ablation_mb(STUDY.specified_deletions), attempt)


def figure_of(wildcards):
    """The figure that a drawing is a view of."""
    return FIGURES[DRAWINGS[wildcards.drawing][0]]


def figure_axes(wildcards):
    """The axes with the conditions that a figure shows: of the study, or those of its claim."""
    claim = figure_of(wildcards).claim
    return AXES | {"condition": claim_conditions(claim) if claim else SHOWN}


def figure_tables(wildcards):
    """The tables that a figure shows: of the whole study, or of a claim's conditions."""
    figure = figure_of(wildcards)
    return study_tables(figure.tables, figure_axes(wildcards)) if figure.claim else whole_tables(figure.tables)


def claim_drawings(claim):
    """The drawings of a claim's own conditions, where it has them all."""
    drawn = [drawing for drawing, (figure, _) in DRAWN.items() if FIGURES[figure].claim == claim]
    return [f"<results>/figures/{drawing}.{kind}" for drawing in drawn for kind in ("svg", "png")]


def figure_labels(wildcards):
    """What the report lists a drawing by; a label with two values becomes a toggle."""
    figure, view = figure_of(wildcards), DRAWINGS[wildcards.drawing][1]
    return {"shows": figure.title} | ({figure.toggle: view} if figure.toggle else {})


def reader_code(stage, module, tables):
    """The fingerprint of a stage that reads tables by name and hands them to a module."""
    return fingerprint(stage, module, *(f"schemas.{name}" for name in tables))


def results_folder(wildcards, output):
    """The study's folder, for a stage that reads many of its tables."""
    return Path(output[0]).parents[1]
