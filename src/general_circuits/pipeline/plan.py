"""What a study will take, before anything runs: jobs, core-hours, memory and disk, by rule.

Every distinct shape of network and batch makes some steps, and is evaluated, attributed and ablated: `timings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Literal

import numpy as np
import pandas as pd
import torch

from general_circuits.analysis.windows import steps_read
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.branch import Measurement
from general_circuits.config.duels import DuelSettings
from general_circuits.config.study import Study
from general_circuits.duels import toy_training
from general_circuits.duels.module_training import DuelExamples, Planted, module_groups, plant
from general_circuits.duels.planted_grid import planted_duels
from general_circuits.duels.planted_training import fight, stacks
from general_circuits.duels.toy_grid import evaluation_steps, toys
from general_circuits.figures.registry import drawings
from general_circuits.measurements import answers
from general_circuits.measurements.saliency.histograms import STATISTICS
from general_circuits.pipeline import timings
from general_circuits.pipeline.memory import FLOAT, MB, Size, toy_mb
from general_circuits.pipeline.timings import Rates
from general_circuits.report.registry import PAGES
from general_circuits.storage.schemas import registry as schemas
from general_circuits.training.schedule import STATE_EVERY, evenly_chosen
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
"""Bytes a row of a table's file, measured in a finished study."""
EVALUATIONS = 20
"""At most, around a spike, in the quiet windows on either side, and after the kicks there."""
SHORT = 10
"""Steps by which the length of a duel is judged."""


def of_claim(study: Study, claim: str) -> Study:
    """What of a study one claim needs: its conditions, those that they are branches of, and what it reads of them."""
    needed = CLAIMS[claim]
    read = {schemas.table(name).measurement for name in (*needed.tables, *needed.tables_beside)} - {""}
    read |= {"saliency"} if "ablation" in read else set()
    names, conditions = needed.among(study.flat), study.conditions
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
    fights = {"toy", "planted", "modules"} & {*needed.tables}
    duels = study.duels if fights else DuelSettings()
    return study.model_copy(update={"conditions": kept, "measurements": measured, "duels": duels})


def plan(study: Study, seconds: float = 0.5) -> pd.DataFrame:
    """One row per rule: `jobs`, `core_hours`, `mem_mb` of its largest job, and `disk_mb` that it leaves.

    Args:
        study: from `config.load`.
        seconds: how long to measure each rate at least.
    """
    with_torch, without = (timings.start_seconds(stage) for stage in ("train_block", "find_events"))
    attributed, deleted = study.measurements.saliency, study.measurements.ablation
    conditions = {name: settings.resolve() for name, settings in study.conditions.items()}
    branches = study.branches
    sizes = {name: Size.of(condition) for name, condition in conditions.items()}
    blocks = study.blocks
    known: dict[object, Rates] = {}
    rates_of: dict[str, Rates] = {}
    looked: dict[object, float] = {}
    rows: dict[str, list[float]] = {}

    def add(rule: str, jobs: int, seconds_each: float, mem_mb: int, bytes_each: float) -> None:
        row = rows.setdefault(rule, [0, 0.0, 0, 0.0])
        row[0] += jobs
        row[1] += jobs * seconds_each / 3600
        row[2] = max(row[2], mem_mb)
        row[3] += jobs * bytes_each / MB

    generated = {size.condition.task: size for size in sizes.values()}
    if study.duels.planted:
        condition, _, _ = study.duels.planted.resolve()
        generated.setdefault(condition.task, Size.of(condition))
    for size in generated.values():
        add("generate_task", 1, without, 500, 3.4 * size.n_examples)
    for name, condition in conditions.items():
        size = sizes[name]
        optimiser, examples = condition.optimiser, (size.n_training, size.n_validation)
        rule = optimiser.optimiser, optimiser.loss, optimiser.gradient_noise > 0, optimiser.grokfast_lambda > 0
        shape = condition.model, optimiser.arithmetic, optimiser.loss_precision, rule, size.batch, examples
        if shape not in known:
            known[shape] = timings.measured(study, condition, seconds)
        rates, schedule = known[shape], condition.schedule
        rates_of[name] = rates
        measured, per_job = study.conditions[name].measured, study.block
        evaluations = len(schedule.metrics.steps(schedule.steps))
        seen = _at_most(attributed.checkpoints, size.checkpoints)
        ablated = _at_most(deleted.checkpoints, seen)
        training = schedule.steps * rates.step + evaluations * rates.evaluation
        kept = size.kept_bytes(study.keep.weights, study.keep.states)
        attributed_bytes = (
            rates.saliency_rows * ROW_BYTES["saliency"] + rates.attribution_rows * ROW_BYTES["attribution"]
        )
        described = 2 * len(STATISTICS) * rates.attribution_rows  # dead units in and out
        deleted_bytes = rates.ablation_rows * ROW_BYTES["ablation"] + rates.damage_rows * ROW_BYTES["damage"]
        add("split_examples", blocks, without, 500, per_job * size.n_examples * ROW_BYTES["split"])
        add(
            "train_block",
            blocks,
            with_torch + per_job * training,
            size.training_mb(name in branches),
            per_job * (kept + 2 * evaluations * ROW_BYTES["metrics"]),
        )
        add("find_events", blocks, without, 500, 3400)
        if "saliency" in measured:
            add(
                "extract_saliency",
                blocks,
                with_torch + per_job * seen * rates.attribution,
                size.saliency_mb(study.attributions),
                per_job * seen * attributed_bytes,
            )
            add("describe_saliency", blocks, 2 * without, 500, per_job * seen * described * ROW_BYTES["distribution"])
        if attributed.by_example and "saliency" in measured and name not in branches:
            add(
                "extract_example_saliency",
                blocks * _at_most(attributed.by_example, size.checkpoints),
                with_torch + per_job * rates.attribution,
                size.example_saliency_mb(study.attributions),
                per_job * rates.example_rows * ROW_BYTES["example_saliency"],
            )
        if "ablation" in measured:
            add(
                "ablate_neurons",
                blocks,
                with_torch + per_job * ablated * rates.ablation,
                size.ablation_mb(study.deletions),
                per_job * ablated * deleted_bytes,
            )
        for job, row in _wild(study, name, size, rates.step, with_torch, looked).items():
            add(job, *row)
    if study.measurements.specifications:
        in_every_way = cache(lambda name: timings.in_every_way(study, conditions[name]))
        for job, names in _specified({name: conditions[name] for name in study.measured("saliency")}).items():
            for name in names:
                size, seen = sizes[name], study.block * len(_read_by_claims(conditions[name], attributed.checkpoints))
                rates = in_every_way(name)
                described = 2 * len(STATISTICS) * rates.attribution_rows
                attributing = size.saliency_mb(study.specified_attributions)
                deleting = size.ablation_mb(study.specified_deletions)
                each = {
                    "specify_saliency": (rates.attribution, attributing, rates.saliency_rows * ROW_BYTES["saliency"]),
                    "specify_distribution": (0.0, 500, described * ROW_BYTES["distribution"]),
                    "specify_damage": (rates.ablation, deleting, rates.damage_rows * ROW_BYTES["damage"]),
                }
                seconds_each, mem_mb, bytes_each = each[job]
                add(job, blocks, with_torch + seen * seconds_each, mem_mb, seen * bytes_each)
    for name, row in _duels(study, with_torch, without).items():
        add(name, *row)
    for name in _looked_at_by_claims(study, "answers"):
        add("record_answers", *_recording(study, sizes[name], with_torch))
    for name in _looked_at_by_claims(study, "spikes"):
        for job, row in _watching(study, sizes[name], rates_of[name], with_torch).items():
            add(job, *row)
    indexed = [name for name in schemas.of_blocks() if name not in study.absent]
    add("index_table", len(indexed), without, 500, 150 * blocks * len(conditions))
    judged = sum(claim.is_measured for claim in CLAIMS.values())
    add("judge_claim", judged, 2 * without, 2000, 5000)
    add("list_conditions", 1, without, 500, 20 * 500 * len(conditions))
    add("specify_claim", sum(bool(claim.specified) for claim in CLAIMS.values()), 4 * without, 2000, 200_000)
    add("merge_verdicts", 1, without, 500, 10_000)
    add("write_page", len(PAGES), 2 * without, 2000, 10_000)
    add("write_front_page", 1, without, 500, 1_000_000)
    add("plot_figure", len(drawings(study.absent, study.lacking)), 4 * without, 2000, 350_000)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["jobs", "core_hours", "mem_mb", "disk_mb"])
    return table.astype({"jobs": int, "mem_mb": int})


def _wild(
    study: Study, name: str, size: Size, step: float, with_torch: float, known: dict[object, float]
) -> dict[str, tuple[int, float, int, float]]:
    """By rule, of looking into one condition's training, as `_duels`.

    Args:
        name: the condition.
        step: seconds of an update.
        known: what was measured of other conditions alike, by what.
    """
    condition, (asked, onset, tracked) = size.condition, study.measurements.wild
    has_progress, has_updates = (name in study.measured(what) for what in ("progress", "updates"))
    if not (has_progress or has_updates):
        return {}
    around, steps, each = (onset.before + onset.after) // onset.every + 1, condition.schedule.steps, study.block
    apart = steps // max(1, study.keep.states) + STATE_EVERY  # between two states that are kept
    replaying = with_torch + each * min(steps, onset.before + onset.after + apart) * step
    kept = float(each * around * size.parameters * FLOAT * study.keep.weights)
    found = {"replay_onset": (study.blocks, replaying, size.training_mb(), kept)}
    if study.conditions[name].branch:
        found, around = {}, 0

    def seconds(what: Callable[[Condition], float]) -> float:
        alike = what, condition.task, condition.model, size.n_training
        if alike not in known:
            known[alike] = what(condition)
        return known[alike]

    if has_progress:
        seen = _at_most(asked.checkpoints, size.checkpoints) + around
        followed = asked.examples * _at_most(asked.examples_checkpoints, size.checkpoints)
        measuring = with_torch + each * (seen * seconds(timings.measuring) + followed * seconds(timings.following))
        rows = float(each * seen * 30 * ROW_BYTES["progress"])  # of all its tables together
        found["measure_progress"] = study.blocks, measuring, size.progress_mb(), rows
    if has_updates:
        seen = _at_most(tracked.checkpoints, size.checkpoints) + around
        rows = float(each * seen * size.neurons(["mlp"]) * ROW_BYTES["updates"])
        looking = with_torch + each * seen * seconds(timings.tracking)
        found["track_updates"] = study.blocks, looking, size.updates_mb(), rows
    return found


def _looked_at_by_claims(study: Study, measurement: Measurement) -> list[str]:
    """The conditions of which a measurement is made that only those have whose claims read it."""
    measured = study.measured(measurement)
    if not measured:
        return []
    names, conditions = {name for name in schemas.names() if schemas.table(name).measurement == measurement}, study.flat
    readers = [claim for claim in CLAIMS.values() if names & {*claim.tables, *claim.tables_beside}]
    read = {name for claim in readers for name in claim.among(conditions)}
    return [name for name in measured if name in read]


def _recording(study: Study, size: Size, with_torch: float) -> tuple[int, float, int, float]:
    """Of recording one condition's answers, as `_duels`."""
    replica, (asked, _) = timings.generated_replica(size.condition, seed=1000), study.measurements.watched
    model, splits, seen = replica.model, replica.splits, _at_most(asked.checkpoints, size.checkpoints)
    one = timings.once(lambda: (answers.answers(model, splits), answers.deciles(model, splits, torch.float32)))
    rows = float(study.block * seen * size.n_examples * ROW_BYTES["answers"])
    return study.blocks, with_torch + study.block * seen * one, size.answers_mb(seen, study.block), rows


def _watching(study: Study, size: Size, rates: Rates, with_torch: float) -> dict[str, tuple[int, float, int, float]]:
    """By rule, of one condition's spikes, as `_duels`."""
    (_, watched), steps, each = study.measurements.watched, size.condition.schedule.steps, study.block
    # Once for the record, once for what is around spikes, and what follows two kicks beside each.
    training = steps * (2 * rates.step + rates.evaluation) + watched.most * 2 * LATER * rates.step
    observations = each * watched.most * EVALUATIONS
    kept = float(observations * size.parameters * FLOAT * study.keep.weights + each * steps * ROW_BYTES["losses"])
    return {
        "watch_spikes": (study.blocks, with_torch + each * training, size.spikes_mb(watched.most, each), kept),
        "measure_spikes": (study.blocks, with_torch + observations * rates.evaluation, size.progress_mb(), 0.0),
    }


def _duels(study: Study, with_torch: float, without: float) -> dict[str, tuple[int, float, int, float]]:
    """By rule, of duels: jobs, seconds of each, MB of the largest, and bytes that each leaves."""
    found: dict[str, tuple[int, float, int, float]] = {}
    if study.duels.toy:
        grid = study.duels.toy.resolve(study.replicas, study.first_seed)
        short = dataclasses.replace(grid, steps=SHORT, block_steps=SHORT)
        seconds = np.mean([timings.once(partial(toy_training.train, short, rule.optimiser)) for rule in grid.rules])
        circuits = float(np.mean([len(toys(grid, rule)) for rule in grid.rules])) * (1 + grid.pairs)
        in_all = with_torch + float(seconds) * grid.steps / SHORT
        found["duel_toys"] = (
            len(grid.rules),
            in_all,
            toy_mb(grid),
            circuits * len(evaluation_steps(grid)) * ROW_BYTES["toy"],
        )
    if study.duels.planted:
        condition, planting, duels = study.duels.planted.resolve()
        size = Size.of(condition)
        ground = DuelExamples.of(timings.generated_splits(condition, seed=1000), size.vocabulary)
        quick = dataclasses.replace(planting, memory_steps=SHORT, general_steps=SHORT)
        modules: list[Planted] = []
        training = timings.once(lambda: modules.append(plant(quick, ground, 1000, lambda line: None)))
        brief = dataclasses.replace(duels, steps=SHORT, evaluations=1)
        fought = {rule: planted_duels(planting, duels, rule) for rule in duels.rules}
        fighting = sum(
            timings.once(partial(fight, stack, rule, brief, ground, modules[0], 1000))
            for rule, of_rule in fought.items()
            for stack in stacks(of_rule, ground, modules[0], 1000)
        )
        rows = 2 * (duels.evaluations + 1) * sum(map(len, fought.values()))
        weights = FLOAT * size.parameters * sum(group.parts for group in module_groups(planting))
        jobs, each, mem_mb = study.blocks, study.block, size.modules_mb(max(planting.parts))
        at_length = with_torch + each * training * planting.memory_steps / SHORT
        found["split_modules"] = jobs, without, 500, each * size.n_examples * ROW_BYTES["split"]
        found["train_modules"] = jobs, at_length, mem_mb, float(each * weights)
        found["duel_modules"] = (
            jobs,
            with_torch + each * fighting * duels.steps / SHORT,
            mem_mb,
            float(each * rows * ROW_BYTES["planted"]),
        )
    return found


def _specified(conditions: Mapping[str, Condition]) -> dict[str, list[str]]:
    """By rule, the conditions that are measured in every way: those that claims need, if all are there."""
    claims = [claim for claim in CLAIMS.values() if claim.specified and set(claim.needs) <= set(conditions)]
    found = {
        "specify_saliency": {name for claim in claims for name in claim.needs},
        **{
            f"specify_{table}": {
                name for claim in claims if f"specified_{table}" in claim.specified for name in claim.needs
            }
            for table in ("distribution", "damage")
        },
    }
    return {rule: sorted(names) for rule, names in found.items() if names}


def _read_by_claims(condition: Condition, checkpoints: int | Literal["all"]) -> list[int]:
    """The checkpoints that claims would read if it memorised after a tenth of its steps, and generalised half-way."""
    last = condition.schedule.steps
    kept = evenly_chosen(condition.schedule.checkpoints.steps(last), None if checkpoints == "all" else checkpoints)
    return steps_read(kept, {"memorised": last / 10, "generalised": last / 2})


def _at_most(wanted: int | str, available: int) -> int:
    return available if wanted == "all" else min(int(wanted), available)
