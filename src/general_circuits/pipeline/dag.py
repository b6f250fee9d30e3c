"""Files, settings, options, memory and code of every job of a study, for the Snakemake rules.

The rules in `workflow/` hold no logic of their own. They ask a `Dag`, which is made from the checked config. Paths are
relative to the project's folder. They begin with `<results>`, which Snakemake replaces by the study's folder.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from general_circuits.analysis.moments import MOMENTS
from general_circuits.analysis.variants import BASE
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.branch import replay_refusal
from general_circuits.config.study import Study
from general_circuits.duels.settings import Duels, Planting
from general_circuits.figures.registry import DRAWINGS, FIGURES, FRONT_PAGE, Figure
from general_circuits.pipeline import memory
from general_circuits.pipeline.fingerprints import fingerprint
from general_circuits.pipeline.memory import Size
from general_circuits.records import flat, to_json
from general_circuits.storage.files import STATES, WEIGHTS
from general_circuits.storage.schemas import registry as schemas
from general_circuits.storage.tables import files
from general_circuits.tasks import registry as tasks
from general_circuits.tasks.settings import Task, family_module
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition

MEASUREMENTS: Mapping[str, str] = {
    "saliency": "saliency",
    "ablation": "ablation",
    "progress": "progress measures",
    "updates": "tracked updates",
    "answers": "recorded answers",
    "spikes": "watched spikes",
}
"""Measurements that a study can leave out, with words for messages."""
PARENT_FILES = ("metrics", "split", "events")
"""Tables of its parent that a branch reads. Rules rely on metrics as the first one."""
Axes = dict[str, list[Any]]
"""A study's values, in order, of each name in the paths of tables: `condition`, `block`, `claim`."""


class Dag:
    """Answers to the questions of the rules about one study.

    Args:
        study: the checked config.

    Attributes:
        results: the study's folder.
        conditions: resolved settings of each condition, by name.
        branches: how each branch leaves its parent, by name.
        parents: name of each branch's parent, by name.
        sizes: sizes of each condition, from which memory is computed, by name.
        toy_grid: settings of toy duels, if the study has any.
        modules: the condition that the modules of planted duels share, if the study has such duels. It is none of
            `conditions`.
        planting, duels: settings of planted duels, if the study has any.
        axes: values along which the study has files.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.results = Path("results") / study.study
        self.conditions: dict[str, Condition] = {name: own.resolve() for name, own in study.conditions.items()}
        self.branches = study.branches
        self.parents = {name: study.parent(name) for name in self.branches}
        self.sizes = {name: Size.of(condition) for name, condition in self.conditions.items()}
        toy, planted = study.duels.toy, study.duels.planted
        self.toy_grid = toy.resolve(study.replicas, study.first_seed) if toy else None
        self.modules: Condition | None = None
        self.planting: Planting | None = None
        self.duels: Duels | None = None
        if planted:
            self.modules, self.planting, self.duels = planted.resolve()
        self.axes: Axes = {
            "condition": list(self.conditions),
            "block": list(range(study.blocks)),
            "replica": list(range(study.first_seed, study.first_seed + study.replicas)),
            "claim": self.measured_claims,
            "optimiser": list(toy.rules) if toy else [],
        }

    # Contents of the study.

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Tasks of the study, by the stem of their file."""
        conditions = [*self.conditions.values(), *([self.modules] if self.modules else [])]
        return {tasks.file_stem(condition.task): condition.task for condition in conditions}

    @cached_property
    def flat(self) -> dict[str, dict[str, Any]]:
        """Settings of each condition as claims read them: flat, with the number of training examples."""
        resolved = self.study.resolved()["conditions"]
        return {name: flat(own) | {"examples.training": self.sizes[name].n_training} for name, own in resolved.items()}

    @property
    def measured_claims(self) -> list[str]:
        """Names of the claims that are measured."""
        return [name for name, claim in CLAIMS.items() if claim.is_measured]

    @property
    def specified_claims(self) -> list[str]:
        """Names of the claims that have a specification curve."""
        return [name for name in self.measured_claims if CLAIMS[name].specified]

    @cached_property
    def absent(self) -> dict[str, str]:
        """Tables without any file in the study, each with the words for what the study would need."""
        absent = {} if self.toy_grid else {"toy": "toy duels"}
        if not self.planting:
            absent |= dict.fromkeys(("planted", "modules"), "planted duels")
        for measurement, words in MEASUREMENTS.items():
            if not self.study.measured(measurement):
                names = [name for name in schemas.names() if schemas.table(name).measurement == measurement]
                absent |= dict.fromkeys(names, words)
        return absent

    @cached_property
    def tables_of_blocks(self) -> list[str]:
        """Tables that have one file for each block of the study's conditions."""
        return [name for name in schemas.of_blocks() if name not in self.absent]

    @cached_property
    def shown(self) -> list[str]:
        """Conditions in figures of the whole study.

        Branches are left out, and so are conditions that only single claims measure. If none is left, all are shown.
        """
        of_all = {schemas.table(name).measurement for name in schemas.of_blocks()} - {""}
        measured = [name for name, own in self.study.conditions.items() if of_all & {*own.measured}]
        return [name for name in measured if name not in self.branches] or list(self.conditions)

    # Files.

    def weights(self, rule: str) -> list[str]:
        """Return the paths of a block's weights: one file per replica, numbered within the block."""
        return [f"<results>/{WEIGHTS[rule]}/weights-{position}.safetensors" for position in range(self.study.block)]

    @property
    def states(self) -> str:
        """Folder of a block's training states, with wildcards.

        States are no outputs of a rule, because Snakemake removes outputs before a rerun.
        """
        return f"{self.results}/{STATES}/{{condition}}/{{block}}"

    def task_table(self, condition: str) -> str:
        """Return the path of the table of a condition's task."""
        return self.table_of(self.conditions[condition].task)

    def table_of(self, task: Task) -> str:
        """Return the path of a task's table."""
        return f"<results>/tasks/{tasks.file_stem(task)}.parquet"

    def parent_files(self, condition: str) -> list[str]:
        """Return the files that a branch begins from, its parent's metrics first; none for any other condition.

        If the kick has another branch's name, that branch's metrics come last: they set the distance of the kick.
        """
        if condition not in self.branches:
            return []
        paths = [f"<results>/runs/{self.parents[condition]}/{{block}}/{name}.parquet" for name in PARENT_FILES]
        kick = self.branches[condition].intervention.kick
        return paths + ([f"<results>/runs/{kick}/{{block}}/metrics.parquet"] if isinstance(kick, str) else [])

    def moments(self, condition: str) -> list[str]:
        """Return the table `moments` of a block and the weights beside it. A branch has none: it is not replayed."""
        if condition in self.branches:
            return []
        return [f"<results>/{schemas.table('moments').path}", *self.weights("replay_moments")]

    def ends_with(self, condition: str) -> list[str]:
        """Return the events by which training ends early; none for a condition that trains all of its steps."""
        return [self.partner_events(condition)] if self.conditions[condition].schedule.waits_for_partner else []

    def partner_events(self, condition: str) -> str:
        """Return the events of the same block of grokking, or of the condition itself without such a condition."""
        partner = BASE if BASE in self.conditions and BASE not in self.branches else "{condition}"
        return f"<results>/runs/{partner}/{{block}}/events.parquet"

    def example_saliency(self) -> list[str]:
        """Return the files of `example_saliency`, one for each chosen checkpoint of each block."""
        table, n_steps, paths = schemas.table("example_saliency"), self.study.measurements.saliency.by_example, []
        for name in self.study.measured("saliency") if n_steps else ():
            schedule = self.conditions[name].schedule
            if name in self.branches or schedule.until is not None:
                continue  # its checkpoints are known only when its parent or its partner has been trained
            steps = evenly_chosen(schedule.checkpoints.steps(schedule.steps), n_steps)
            axes = {"condition": [name], "block": self.axes["block"], "step": steps}
            paths += [f"<results>/{file}" for file in files(table, axes)]
        return paths

    def axes_of(self, table: str, axes: Axes) -> Axes:
        """Return the axes, restricted to the conditions and claims that have this table."""
        if table == "specification":
            return axes | {"claim": self.specified_claims}
        measurement = schemas.table(table).measurement
        if not measurement:
            return axes
        measured = set(self.study.measured(measurement))
        if table == "moments":
            measured -= set(self.branches)
        return axes | {"condition": [name for name in axes["condition"] if name in measured]}

    def files_of(self, names: Iterable[str], axes: Axes) -> list[str]:
        """Return the paths of all files of these tables along these axes."""
        return [f"<results>/{file}" for name in names for file in files(schemas.table(name), self.axes_of(name, axes))]

    def whole_tables(self, names: Iterable[str]) -> list[str]:
        """Return files that stand for these tables of the whole study.

        For a table with a file per block this is its index, and for any other table its files. An index keeps
        Snakemake's command lines and its DAG small.
        """
        names = list(names)
        indexes = [f"<results>/index/{name}.sha256" for name in names if name in self.tables_of_blocks]
        return indexes + self.files_of([name for name in names if name not in self.tables_of_blocks], self.axes)

    def axes_option(self, names: Iterable[str], axes: Axes) -> str:
        """Return the axes of each of these tables as the JSON that stages take."""
        option = {}
        for name in names:
            along, own = self.axes_of(name, axes), schemas.table(name).axes
            # Readers of a block's files know the seeds that they ask for.
            option[name] = {axis: along[axis] for axis in [*own, *["replica"] * ("block" in own)]}
        return json.dumps(option)

    def indexed(self, names: Iterable[str]) -> str:
        """Return those of these tables that have an index, separated by commas."""
        return ",".join(name for name in names if name in self.tables_of_blocks)

    # Claims.

    @cache  # noqa: B019 - one Dag lives as long as Snakemake does
    def claim_conditions(self, claim: str) -> list[str]:
        """Return the names of the conditions that a claim is judged from."""
        return CLAIMS[claim].among(self.flat)

    def claim_axes(self, claim: str) -> Axes:
        """Return the axes, restricted to a claim's conditions."""
        return self.axes | {"condition": self.claim_conditions(claim)}

    @cache  # noqa: B019
    def lacks(self, claim: str) -> str:
        """Return in words what a claim needs but the study lacks; empty text if the claim can be judged."""
        needed = CLAIMS[claim]
        missing = [f"condition {name}" for name in needed.needs if name not in self.conditions]
        missing += [variants.words for variants in needed.needs_variants if not variants.of(self.flat)]
        missing += dict.fromkeys(self.absent[name] for name in needed.tables if name in self.absent)
        for measurement in dict.fromkeys(schemas.table(name).measurement for name in needed.tables):
            measured = self.study.measured(measurement) if measurement else []
            # A measurement that no condition has is already in `absent`.
            unmeasured = set(self.conditions) - set(measured) if measured else ()
            missing += [f"{measurement} of {name}" for name in needed.needs if name in unmeasured]
        return " and ".join(f"no {name}" for name in dict.fromkeys(missing))

    def elsewhere(self, claim: str) -> str:
        """Return a sentence about a study that can test a claim that this one cannot test."""
        study = CLAIMS[claim].study
        cost = f"general-circuits plan --study {study} --claim {claim}"
        return f"config/{study}.yaml has it. This command predicts the cost: {cost}."

    def claim_reads(self, claim: str) -> list[str]:
        """Return the names of the tables that a claim reads; none if the study lacks something that it needs."""
        if self.lacks(claim):
            return []
        beside = [name for name in CLAIMS[claim].tables_beside if self.files_of([name], self.claim_axes(claim))]
        return [*CLAIMS[claim].tables, *beside]

    def claim_tables(self, claim: str) -> list[str]:
        """Return the files of the tables that a claim reads."""
        return self.files_of(self.claim_reads(claim), self.claim_axes(claim))

    def specified(self, claim: str) -> Sequence[str]:
        """Return the tables that a claim's specification curve is made from; none if the study cannot have a curve."""
        is_possible = self.study.measurements.specifications and not self.lacks(claim)
        return CLAIMS[claim].specified if is_possible else ()

    def specified_axes(self, claim: str) -> Axes:
        """Return the axes, restricted to the conditions that a specification curve reads."""
        return self.axes | {"condition": list(CLAIMS[claim].needs)}

    def specified_tables(self, claim: str) -> list[str]:
        """Return the files that a specification curve is made from."""
        return self.files_of(self.specified(claim), self.specified_axes(claim))

    # Figures.

    @cached_property
    def drawings(self) -> dict[str, tuple[str, str]]:
        """Figures and views that the study can draw, by the stem of their file.

        A figure needs files of all its tables, and a figure of a claim needs everything that the claim needs.
        """
        return {
            drawing: (name, view)
            for drawing, (name, view) in DRAWINGS.items()
            if all(self._has(table, self.figure_axes(drawing)) for table in FIGURES[name].tables)
            and not (FIGURES[name].claim and self.lacks(FIGURES[name].claim))
        }

    def _has(self, table: str, axes: Axes) -> bool:
        """Tell whether the study has any file of a table along these axes."""
        along = self.axes_of(table, axes)
        return table not in self.absent and all(along[axis] for axis in schemas.table(table).axes)

    @property
    def front_drawings(self) -> list[str]:
        """Drawings on the report's front page."""
        return [drawing for drawing in FRONT_PAGE if drawing in self.drawings]

    def figure(self, drawing: str) -> Figure:
        """Return the figure that a drawing is a view of."""
        return FIGURES[DRAWINGS[drawing][0]]

    def figure_axes(self, drawing: str) -> Axes:
        """Return the axes, restricted to the conditions that a figure shows: its claim's, or `shown`."""
        claim = self.figure(drawing).claim
        return self.axes | {"condition": self.claim_conditions(claim) if claim else self.shown}

    def figure_tables(self, drawing: str) -> list[str]:
        """Return the files that a figure is drawn from."""
        figure = self.figure(drawing)
        if figure.claim:
            return self.files_of(figure.tables, self.figure_axes(drawing))
        return self.whole_tables(figure.tables)

    def figure_indexed(self, drawing: str) -> str:
        """Return those tables of a figure that it reads by their index, separated by commas."""
        figure = self.figure(drawing)
        return "" if figure.claim else self.indexed(figure.tables)

    def figure_labels(self, drawing: str) -> dict[str, str]:
        """Return the labels of a drawing in the report. A label with several values becomes a toggle."""
        figure, view = self.figure(drawing), DRAWINGS[drawing][1]
        return {"shows": figure.title} | ({figure.toggle: view} if figure.toggle else {})

    def claim_drawings(self, claim: str) -> list[str]:
        """Return the files of a claim's own figures."""
        drawn = [drawing for drawing, (figure, _) in self.drawings.items() if FIGURES[figure].claim == claim]
        return [f"<results>/figures/{drawing}.{kind}" for drawing in drawn for kind in ("svg", "png")]

    # Options of stages.

    def split_option(self, condition: str) -> str:
        """Return the split of a condition, or of the planted duels' modules, as JSON."""
        return to_json(self.conditions[condition].split)

    def settings_option(self, condition: str) -> str:
        """Return a condition's settings as JSON."""
        return to_json(self.conditions[condition])

    @property
    def conditions_option(self) -> str:
        """Flat settings of all conditions as JSON."""
        return json.dumps(self.flat)

    @cached_property
    def study_option(self) -> str:
        """Settings that results depend on, as JSON. They are computed on first use, because few jobs need them."""
        return json.dumps(self.study.resolved())

    def branch_options(self, condition: str, block: str, paths: Sequence[str]) -> str:
        """Return the options of `train_block` that say how a branch continues its parent.

        Args:
            condition: the condition. If it is no branch, all options are empty.
            block: number of the block.
            paths: the condition's `parent_files`, with Snakemake's wildcards filled in.
        """
        if condition not in self.branches:
            return options(branch='""', parent=".", parent_states=".", parent_code='""', as_kicked='""')
        parent = self.parents[condition]
        return options(
            branch=shlex.quote(to_json(self.branches[condition])),
            parent=Path(paths[0]).parent,
            parent_states=self.states.format(condition=parent, block=block),
            parent_code=self.training_code(parent),
            as_kicked=paths[-1] if len(paths) > len(PARENT_FILES) else '""',
        )

    def replay_options(self, condition: str, replay: str) -> str:
        """Return the options that a replay's name stands for, such as steps-0-100-checkpoints-10-metrics-10.

        Raises:
            WorkflowError: the condition is a branch.
        """
        if condition in self.branches:
            raise WorkflowError(f"{condition}: {replay_refusal(self.parents[condition])}")
        first, last, checkpoints, metrics = re.findall(r"\d+", replay)
        every = f"--checkpoints-every {checkpoints} --metrics-every {metrics}"
        return f"--first {first} --last {last} {every}"

    @property
    def moments_options(self) -> str:
        """Options that say which steps around each replica's onset are replayed beside its moments."""
        onset = self.study.measurements.onset
        return options(before=onset.before, after=onset.after, every=onset.every)

    # Memory.

    def mb(self, rule: str, condition: str | None = None) -> int:
        """Return the peak memory of one job of a rule, MB.

        Args:
            rule: name of the rule.
            condition: the job's condition, for rules that have one.
        """
        study = self.study
        if rule == "duel_toys" and self.toy_grid:
            return memory.toy_mb(self.toy_grid)
        if rule in ("train_modules", "duel_modules") and self.modules and self.planting:
            return Size.of(self.modules).modules_mb(max(self.planting.parts))
        if condition is None:
            raise ValueError(f"{rule}: there is no prediction of this rule's memory without a condition")
        size, (answers, spikes) = self.sizes[condition], study.measurements.answers_and_spikes
        match rule:
            case "train_block" | "replay_block":
                return size.training_mb(condition in self.branches)
            case "replay_moments":
                return size.training_mb(kept=len(MOMENTS) + study.measurements.onset.steps)
            case "extract_saliency":
                return size.saliency_mb(memory.attributions(study))
            case "extract_example_saliency":
                return size.example_saliency_mb(memory.attributions(study))
            case "ablate_neurons":
                return size.ablation_mb(memory.deletions(study))
            case "extract_saliency_all_ways":
                return size.saliency_mb(memory.attributions_all_ways(study))
            case "ablate_neurons_all_ways":
                return size.ablation_mb(memory.deletions_all_ways(study))
            case "measure_progress" | "measure_spikes":
                return size.progress_mb()
            case "track_updates":
                return size.updates_mb()
            case "record_answers":
                return size.answers_mb(or_all(answers.checkpoints), study.block)
            case "watch_spikes":
                return size.spikes_mb(spikes.most, study.block)
        raise ValueError(f"{rule}: there is no prediction of this rule's memory")

    # Code.

    def training_modules(self, condition: str) -> list[str]:
        """Return the modules that training imports by name: the loss, the update rule, and events that end it."""
        settings, ends_itself = self.conditions[condition].optimiser, self.conditions[condition].schedule.ends_itself
        # By their names, since importing them would load torch in every Snakemake; a test ties both.
        names = [f"losses.{settings.loss}", f"optimisers.{settings.optimiser}", *["events"] * ends_itself]
        return [f"general_circuits.training.{name}" for name in names]

    @cache  # noqa: B019
    def training_code(self, condition: str) -> str:
        """Return the fingerprint of a condition's training code. Training states carry it.

        A branch replays its parent, so it also depends on its parent's loss and update rule.
        """
        parent = self.parents.get(condition)
        modules = self.training_modules(condition) + (self.training_modules(parent) if parent else [])
        return fingerprint("stages.train_block", *modules)

    def retraining_code(self, stage: str, condition: str) -> str:
        """Return the fingerprint of a stage that trains a condition again."""
        return fingerprint(f"stages.{stage}", *self.training_modules(condition))

    def task_code(self, task: str) -> str:
        """Return the fingerprint of the job that makes a task's table. `task` is the stem of the table's file."""
        return fingerprint("stages.generate_task", family_module(self.tasks[task].family))

    def reader_code(self, stage: str, module: str, names: Iterable[str]) -> str:
        """Return the fingerprint of a stage that reads tables by name and gives them to a module."""
        return fingerprint(f"stages.{stage}", module, *(f"storage.schemas.{name}" for name in names))


def options(**values: object) -> str:
    """Return options of a stage as they stand on its command line. Values must be quoted already."""
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in values.items())


def or_all(number: int | str) -> int:
    """Return a number of checkpoints as the stages take it: 0 for all."""
    return 0 if number == "all" else int(number)
