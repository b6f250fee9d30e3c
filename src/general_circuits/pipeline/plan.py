"""Prediction of a study's costs before it runs: jobs, core-hours, memory and disk, by rule.

Seconds are measured on this machine (`timings`), once for each distinct shape of network and batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Literal

import numpy as np
import pandas as pd
import torch

from general_circuits.analysis.moments import MOMENTS
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import steps_read
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.duels import DuelSettings
from general_circuits.config.study import Study
from general_circuits.duels import toy_training
from general_circuits.duels.module_training import DuelExamples, Planted, module_groups, plant
from general_circuits.duels.planted_grid import planted_duels
from general_circuits.duels.planted_training import fight, stacks
from general_circuits.duels.toy_grid import evaluation_steps, toys
from general_circuits.measurements import answers
from general_circuits.measurements.saliency.histograms import STATISTICS
from general_circuits.pipeline import memory, timings
from general_circuits.pipeline.dag import Dag
from general_circuits.pipeline.memory import FLOAT, MB, Size
from general_circuits.pipeline.timings import Rates
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas
from general_circuits.training.schedule import evenly_chosen
from general_circuits.training.settings import Condition
from general_circuits.training.spikes import LATER

ROW_BYTES = {
    "split": 5,
    "metrics": 60,
    "saliency": 25,
    "attribution": 20,
    "example_saliency": 5,
    "distribution": 30,
    "ablation": 20,
    "damage": 50,
    "toy": 20,
    "planted": 45,
    "progress": 45,
    "updates": 35,
    "answers": 8,
    "losses": 16,
}
"""Bytes per row of a table's file, measured in a finished study."""
EVALUATIONS = 20
"""Largest number of evaluations around a spike, in the quiet windows beside it, and after the kicks there."""
SHORT = 10
"""Number of steps of a duel that are timed."""
SMALL_MB, READER_MB = 500, 2000
"""Memory, in MB, of jobs that handle tables of one block, and of jobs that read tables of the whole study."""


@dataclasses.dataclass(frozen=True)
class Jobs:
    """Jobs of one rule with equal costs.

    Attributes:
        rule: name of the rule.
        count: number of jobs.
        seconds: core-seconds of each job.
        mem_mb: peak memory of each job, MB.
        disk_bytes: bytes that each job leaves on disk.
    """

    rule: str
    count: int
    seconds: float
    mem_mb: int
    disk_bytes: float


def of_claim(study: Study, claim: str) -> Study:
    """Return the part of a study that one claim needs: its conditions, their parents, and the measurements it reads."""
    needed = CLAIMS[claim]
    read = {schemas.table(name).measurement for name in (*needed.tables, *needed.tables_beside)} - {""}
    read |= {"saliency"} if "ablation" in read else set()
    names, conditions = needed.among(Dag(study).flat), study.conditions
    # A branch needs its parent. If a kick has another branch's name, it needs that branch too.
    for name in list(names):
        branch = conditions[name].branch
        kick = branch.change.kick if branch else None
        names += [other for other in ((branch.parent if branch else None), kick) if isinstance(other, str)]
    kept = {
        name: settings.model_copy(update={"measurements": [kind for kind in settings.measured if kind in read]})
        for name, settings in conditions.items()
        if name in names
    }
    measured = study.measurements
    if not needed.specified:
        measured = measured.model_copy(update={"specifications": None})
    reads_duels = {"toy", "planted", "modules"} & {*needed.tables}
    duels = study.duels if reads_duels else DuelSettings()
    return study.model_copy(update={"conditions": kept, "measurements": measured, "duels": duels})


def plan(study: Study, seconds: float = 0.5) -> pd.DataFrame:
    """Return one row per rule: `jobs`, `core_hours`, `mem_mb` of its largest job, and `disk_mb` that its jobs leave.

    Args:
        study: the study, checked.
        seconds: shortest total time of the calls that a rate is measured from.
    """
    rows = pd.DataFrame(_Planner(study, seconds).jobs())
    rows["core_hours"] = rows["count"] * rows["seconds"] / 3600
    rows["disk_mb"] = rows["count"] * rows["disk_bytes"] / MB
    by_rule = rows.groupby("rule", sort=False)
    table = by_rule.agg(
        jobs=("count", "sum"), core_hours=("core_hours", "sum"), mem_mb=("mem_mb", "max"), disk_mb=("disk_mb", "sum")
    )
    return table.rename_axis(None)


def trained_steps(dag: Dag, name: str) -> int:
    """Return the steps that a condition trains, if the run that ends it generalised half-way through its own steps."""
    schedule = dag.conditions[name].schedule
    if name in dag.branches:
        # A branch without an end of its own trains what is left of its steps; nobody knows yet when it leaves.
        return min(schedule.steps, dag.branches[name].last(0) or schedule.steps)
    ends = dag.conditions[BASE].schedule if schedule.waits_for_partner else schedule
    return schedule.last(ends.steps / 2)


class _Planner:
    """List of a study's jobs, with the time that their work takes.

    Attributes:
        study: the study.
        dag: the study's files, settings and memory.
        seconds: shortest total time of the calls that a rate is measured from.
        with_torch, without_torch: seconds that a job takes to start and to end, with and without torch.
        blocks: number of blocks per condition.
        block: number of replicas per block.
        known: rates by shape of network and batch.
        known_seconds: seconds of other work by kind of work, task, network and split.
    """

    def __init__(self, study: Study, seconds: float) -> None:
        self.study, self.dag, self.seconds = study, Dag(study), seconds
        self.with_torch, self.without_torch = map(timings.start_seconds, ("train_block", "find_events"))
        self.blocks, self.block = study.blocks, study.block
        self.known: dict[object, Rates] = {}
        self.known_seconds: dict[object, float] = {}

    def jobs(self) -> Iterator[Jobs]:
        """Yield all jobs of the study."""
        yield from self.tasks()
        for name in self.dag.conditions:
            yield from self.training(name)
            yield from self.saliency_and_ablation(name)
            yield from self.moments(name)
            yield from self.progress_and_updates(name)
        if self.study.measurements.specifications:
            yield from self.specifications()
        yield from self.duels()
        for name in self.read_by_claims("answers"):
            yield self.answers(self.dag.sizes[name])
        for name in self.read_by_claims("spikes"):
            yield from self.spikes(self.dag.sizes[name], self.rates(name))
        yield from self.readers()

    def rates(self, name: str) -> Rates:
        """Return the rates of a condition. Conditions of the same shape share one measurement."""
        condition, size = self.dag.conditions[name], self.dag.sizes[name]
        optimiser = condition.optimiser
        rule = optimiser.optimiser, optimiser.loss, optimiser.gradient_noise > 0, optimiser.grokfast_lambda > 0
        examples = size.batch, size.n_training, size.n_validation
        shape = condition.model, optimiser.arithmetic, optimiser.loss_precision, rule, examples
        if shape not in self.known:
            self.known[shape] = timings.measured(self.study, condition, self.seconds)
        return self.known[shape]

    def tasks(self) -> Iterator[Jobs]:
        """Yield the jobs that generate tasks."""
        generated = {size.condition.task: size for size in self.dag.sizes.values()}
        if self.dag.modules:
            generated.setdefault(self.dag.modules.task, Size.of(self.dag.modules))
        for size in generated.values():
            # A task's table has 3.4 bytes per example, measured in a finished study.
            yield Jobs("generate_task", 1, self.without_torch, SMALL_MB, 3.4 * size.n_examples)

    def training(self, name: str) -> Iterator[Jobs]:
        """Yield the jobs that split a condition's examples, train it and find its events."""
        size, rates, schedule = self.dag.sizes[name], self.rates(name), self.dag.conditions[name].schedule
        steps = trained_steps(self.dag, name)
        evaluations = sum(step <= steps for step in schedule.metrics.steps(schedule.steps))
        seconds = self.with_torch + self.block * (steps * rates.step + evaluations * rates.evaluation)
        keep = self.study.keep
        left = size.kept_bytes(keep.weights, keep.states) + 2 * evaluations * ROW_BYTES["metrics"]
        split = self.block * size.n_examples * ROW_BYTES["split"]
        yield Jobs("split_examples", self.blocks, self.without_torch, SMALL_MB, split)
        yield Jobs("train_block", self.blocks, seconds, self.dag.mb("train_block", name), self.block * left)
        yield Jobs("find_events", self.blocks, self.without_torch, SMALL_MB, 3400)

    def moments(self, name: str) -> Iterator[Jobs]:
        """Yield the jobs that replay a condition to the steps that claims read, if anything is measured there."""
        study, size = self.study, self.dag.sizes[name]
        at_moments = ("saliency", "ablation", "progress", "updates")
        if name in self.dag.branches or not any(name in study.measured(what) for what in at_moments):
            return
        onset, steps = study.measurements.onset, trained_steps(self.dag, name)
        # Each moment, and the first step around onset, is reached from the last kept state before it.
        state_every = self.dag.conditions[name].schedule.state_every
        between_states = (steps // max(1, study.keep.states) + state_every) // 2
        replayed = min(steps, onset.before + onset.after + (len(MOMENTS) + 1) * between_states)
        kept = len(MOMENTS) + onset.steps
        seconds = self.with_torch + self.block * replayed * self.rates(name).step
        left = float(self.block * kept * (size.parameters * FLOAT * study.keep.weights + 30))
        yield Jobs("replay_moments", self.blocks, seconds, self.dag.mb("replay_moments", name), left)

    def saliency_and_ablation(self, name: str) -> Iterator[Jobs]:
        """Yield the jobs that attribute a condition's answers to its neurons, and delete neurons."""
        dag, size, rates = self.dag, self.dag.sizes[name], self.rates(name)
        attribution, measured = self.study.measurements.saliency, self.study.conditions[name].measured
        replayed = 0 if name in dag.branches else len(MOMENTS)
        checkpoints = _at_most(attribution.checkpoints, size.checkpoints) + replayed
        if "saliency" in measured:
            each = rates.saliency_rows * ROW_BYTES["saliency"] + rates.attribution_rows * ROW_BYTES["attribution"]
            seconds = self.with_torch + self.block * checkpoints * rates.attribution
            left = self.block * checkpoints * each
            yield Jobs("extract_saliency", self.blocks, seconds, dag.mb("extract_saliency", name), left)
            yield self.histograms("describe_saliency", self.block * checkpoints, rates, 2 * self.without_torch)
        if attribution.by_example and "saliency" in measured and name not in dag.branches:
            jobs = self.blocks * _at_most(attribution.by_example, size.checkpoints)
            seconds = self.with_torch + self.block * rates.attribution
            left = self.block * rates.example_rows * ROW_BYTES["example_saliency"]
            mem_mb = dag.mb("extract_example_saliency", name)
            yield Jobs("extract_example_saliency", jobs, seconds, mem_mb, left)
        if "ablation" in measured:
            deleted = _at_most(self.study.measurements.ablation.checkpoints, size.checkpoints) + replayed
            measurements = self.block * deleted
            each = rates.ablation_rows * ROW_BYTES["ablation"] + rates.damage_rows * ROW_BYTES["damage"]
            seconds = self.with_torch + measurements * rates.ablation
            left = measurements * each
            yield Jobs("ablate_neurons", self.blocks, seconds, dag.mb("ablate_neurons", name), left)

    def histograms(self, rule: str, checkpoints: int, rates: Rates, seconds: float) -> Jobs:
        """Return the jobs that describe saliency histograms, with and without dead units."""
        rows = 2 * len(STATISTICS) * rates.attribution_rows
        return Jobs(rule, self.blocks, seconds, SMALL_MB, checkpoints * rows * ROW_BYTES["distribution"])

    def progress_and_updates(self, name: str) -> Iterator[Jobs]:
        """Yield the jobs that measure a condition's progress and track its updates."""
        condition, size, study = self.dag.conditions[name], self.dag.sizes[name], self.study
        progress, onset, updates = study.measurements.progress_and_updates
        has_progress, has_updates = (name in study.measured(what) for what in ("progress", "updates"))
        if not (has_progress or has_updates):
            return
        # A branch is not replayed.
        around = 0 if name in self.dag.branches else len(MOMENTS) + onset.steps
        if has_progress:
            checkpoints = _at_most(progress.checkpoints, size.checkpoints) + around
            gradients = progress.examples * _at_most(progress.examples_checkpoints, size.checkpoints)
            work = checkpoints * self.once(timings.measuring, condition, size)
            work += gradients * self.once(timings.following, condition, size)
            left = float(self.block * checkpoints * 30 * ROW_BYTES["progress"])  # 30 rows of all its tables together
            seconds = self.with_torch + self.block * work
            yield Jobs("measure_progress", self.blocks, seconds, size.progress_mb(), left)
        if has_updates:
            checkpoints = self.block * (_at_most(updates.checkpoints, size.checkpoints) + around)
            seconds = self.with_torch + checkpoints * self.once(timings.tracking, condition, size)
            left = float(checkpoints * size.neurons(["mlp"]) * ROW_BYTES["updates"])
            yield Jobs("track_updates", self.blocks, seconds, size.updates_mb(), left)

    def once(self, work: Callable[[Condition], float], condition: Condition, size: Size) -> float:
        """Return the seconds of some work, timed once for all conditions of the same task, network and split."""
        alike = work, condition.task, condition.model, size.n_training
        if alike not in self.known_seconds:
            self.known_seconds[alike] = work(condition)
        return self.known_seconds[alike]

    def specifications(self) -> Iterator[Jobs]:
        """Yield the jobs that measure for specification curves, by every combination of choices."""
        dag, checkpoints = self.dag, self.study.measurements.saliency.checkpoints
        rates_all_ways = cache(lambda name: timings.in_every_way(self.study, dag.conditions[name]))
        for rule, names in self.specified().items():
            for name in names:
                rates = rates_all_ways(name)
                measured = self.block * len(_read_at(dag.conditions[name], checkpoints))
                if rule == "extract_saliency_all_ways":
                    seconds, rows = rates.attribution, rates.saliency_rows * ROW_BYTES["saliency"]
                elif rule == "ablate_neurons_all_ways":
                    seconds, rows = rates.ablation, rates.damage_rows * ROW_BYTES["damage"]
                else:
                    yield self.histograms(rule, measured, rates, self.with_torch)
                    continue
                work = self.with_torch + measured * seconds
                yield Jobs(rule, self.blocks, work, dag.mb(rule, name), measured * rows)

    def specified(self) -> dict[str, list[str]]:
        """Map each rule for specification curves to the conditions that it measures, which claims with curves need."""
        measured = {*self.study.measured("saliency")}
        claims = [claim for claim in CLAIMS.values() if claim.specified and {*claim.needs} <= measured]
        by_table = {
            "describe_saliency_all_ways": "specified_distribution",
            "ablate_neurons_all_ways": "specified_damage",
        }
        names = {"extract_saliency_all_ways": {name for claim in claims for name in claim.needs}}
        for rule, table in by_table.items():
            names[rule] = {name for claim in claims if table in claim.specified for name in claim.needs}
        return {rule: sorted(conditions) for rule, conditions in names.items() if conditions}

    def read_by_claims(self, measurement: str) -> list[str]:
        """Return the conditions that have this measurement, for measurements made only where a claim reads them."""
        measured = self.study.measured(measurement)
        if not measured:
            return []
        names = {name for name in schemas.names() if schemas.table(name).measurement == measurement}
        readers = [name for name, claim in CLAIMS.items() if names & {*claim.tables, *claim.tables_beside}]
        read = {condition for claim in readers for condition in self.dag.claim_conditions(claim)}
        return [name for name in measured if name in read]

    def answers(self, size: Size) -> Jobs:
        """Return the jobs that record one condition's answers."""
        recorded, _ = self.study.measurements.answers_and_spikes
        replica = timings.generated_replica(size.condition, seed=1000)
        model, splits = replica.model, replica.splits
        one = timings.once(lambda: (answers.answers(model, splits), answers.deciles(model, splits, torch.float32)))
        checkpoints = _at_most(recorded.checkpoints, size.checkpoints)
        left = float(self.block * checkpoints * size.n_examples * ROW_BYTES["answers"])
        seconds = self.with_torch + self.block * checkpoints * one
        return Jobs("record_answers", self.blocks, seconds, size.answers_mb(checkpoints, self.block), left)

    def spikes(self, size: Size, rates: Rates) -> Iterator[Jobs]:
        """Yield the jobs that watch one condition for spikes and measure around them."""
        (_, watched), steps = self.study.measurements.answers_and_spikes, size.condition.schedule.steps
        # The run is trained again twice: once for the record of losses, once for the weights around spikes. Beside each
        # spike, training goes on from two kicks.
        training = steps * (2 * rates.step + rates.evaluation) + watched.most * 2 * LATER * rates.step
        observations = self.block * watched.most * EVALUATIONS
        left = observations * size.parameters * FLOAT * self.study.keep.weights
        left += self.block * steps * ROW_BYTES["losses"]
        mem_mb = size.spikes_mb(watched.most, self.block)
        yield Jobs("watch_spikes", self.blocks, self.with_torch + self.block * training, mem_mb, float(left))
        measuring = self.with_torch + observations * rates.evaluation
        yield Jobs("measure_spikes", self.blocks, measuring, size.progress_mb(), 0.0)

    def duels(self) -> Iterator[Jobs]:
        """Yield the jobs of both kinds of duels."""
        if self.dag.toy_grid:
            yield self.toys()
        if self.dag.planting:
            yield from self.planted()

    def toys(self) -> Jobs:
        """Return the jobs that train toys."""
        grid = self.dag.toy_grid
        assert grid is not None
        short = dataclasses.replace(grid, steps=SHORT, block_steps=SHORT)
        seconds = np.mean([timings.once(partial(toy_training.train, short, rule.optimiser)) for rule in grid.rules])
        circuits = float(np.mean([len(toys(grid, rule)) for rule in grid.rules])) * (1 + grid.pairs)
        left = circuits * len(evaluation_steps(grid)) * ROW_BYTES["toy"]
        work = self.with_torch + float(seconds) * grid.steps / SHORT
        return Jobs("duel_toys", len(grid.rules), work, memory.toy_mb(grid), left)

    def planted(self) -> Iterator[Jobs]:
        """Yield the jobs of planted duels: split, modules and duels."""
        condition, planting, duels = self.dag.modules, self.dag.planting, self.dag.duels
        assert condition is not None
        assert planting is not None
        assert duels is not None
        size = Size.of(condition)
        examples = DuelExamples.of(timings.generated_splits(condition, seed=1000), size.vocabulary)
        quick = dataclasses.replace(planting, memory_steps=SHORT, general_steps=SHORT)
        modules: list[Planted] = []
        training = timings.once(lambda: modules.append(plant(quick, examples, 1000, lambda line: None)))
        brief = dataclasses.replace(duels, steps=SHORT, evaluations=1)
        duels_of_rules = {rule: planted_duels(planting, duels, rule) for rule in duels.rules}
        fighting = 0.0
        for rule, of_rule in duels_of_rules.items():
            for stack in stacks(of_rule, examples, modules[0], 1000):
                short_duels = [duel._replace(steps=SHORT) for duel in stack]
                once = timings.once(partial(fight, short_duels, rule, brief, examples, modules[0], 1000))
                fighting += once * stack[0].steps / SHORT
        # Duels that go on until their shares settle have as many evaluations again.
        long = sum(duel.steps > duels.steps for of_rule in duels_of_rules.values() for duel in of_rule)
        rows = 2 * (duels.evaluations + 1) * (long + sum(map(len, duels_of_rules.values())))
        weights = FLOAT * size.parameters * sum(group.parts for group in module_groups(planting))
        mem_mb, each = self.dag.mb("train_modules"), self.block
        split = each * size.n_examples * ROW_BYTES["split"]
        training = self.with_torch + each * training * planting.memory_steps / SHORT
        fighting = self.with_torch + each * fighting
        yield Jobs("split_modules", self.blocks, self.without_torch, SMALL_MB, split)
        yield Jobs("train_modules", self.blocks, training, mem_mb, float(each * weights))
        yield Jobs("duel_modules", self.blocks, fighting, mem_mb, float(each * rows * ROW_BYTES["planted"]))

    def readers(self) -> Iterable[Jobs]:
        """Return the jobs that read tables of the whole study: indexes, verdicts, figures and pages.

        Their costs are rough numbers from a finished study; they are small beside training.
        """
        start, conditions = self.without_torch, len(self.dag.conditions)
        curves = sum(bool(claim.specified) for claim in CLAIMS.values())
        return (
            Jobs("index_table", len(self.dag.tables_of_blocks), start, SMALL_MB, 150 * self.blocks * conditions),
            Jobs("judge_claim", len(self.dag.measured_claims), 2 * start, READER_MB, 5000),
            Jobs("list_conditions", 1, start, SMALL_MB, 20 * 500 * conditions),
            Jobs("specify_claim", curves, 4 * start, READER_MB, 200_000),
            Jobs("merge_verdicts", 1, start, SMALL_MB, 10_000),
            Jobs("write_page", len(PAGES), 2 * start, READER_MB, 10_000),
            Jobs("write_front_page", 1, start, SMALL_MB, 1_000_000),
            Jobs("plot_figure", len(self.dag.drawings), 4 * start, READER_MB, 350_000),
        )


def _read_at(condition: Condition, checkpoints: int | Literal["all"]) -> list[int]:
    """Return the checkpoints that claims would read if the run memorised at 10 % of its steps and grokked at 50 %."""
    last = condition.schedule.steps
    kept = evenly_chosen(condition.schedule.checkpoints.steps(last), None if checkpoints == "all" else checkpoints)
    baseline, generalised = last // 10, last // 2
    moments = {*kept, baseline, generalised, int(1.5 * generalised)}
    return steps_read(sorted(moments), {"baseline": baseline, "generalised": generalised})


def _at_most(wanted: int | str, available: int) -> int:
    """Return the number of checkpoints that a setting chooses from those that there are."""
    return available if wanted == "all" else min(int(wanted), available)
