"""Timings of the parts of a study, measured on this machine with untrained networks.

The work of one step or one checkpoint does not depend on the values of the weights, so untrained networks suffice.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from general_circuits.config.measurements import AttributionSettings, MeasurementSettings
from general_circuits.config.study import Study
from general_circuits.measurements.ablation import measure as ablation
from general_circuits.measurements.progress import forces, solution
from general_circuits.measurements.progress import measure as progress
from general_circuits.measurements.progress.components import ExamplesByAnswer, General
from general_circuits.measurements.saliency import measure as saliency
from general_circuits.measurements.updates.measure import track
from general_circuits.models.network import Network
from general_circuits.records import from_json
from general_circuits.registered import REGISTERED, rows_of
from general_circuits.storage.tables import INPUTS
from general_circuits.tasks import registry
from general_circuits.tasks.examples import Examples, by_split
from general_circuits.tasks.splits import draw
from general_circuits.training.replica import Replica
from general_circuits.training.settings import Condition


@dataclasses.dataclass(frozen=True)
class Rates:
    """Seconds of the parts of one replica's work on this machine, and numbers of rows that they write.

    Attributes:
        step: seconds of one update.
        evaluation: seconds of one evaluation of both splits.
        attribution: seconds of one checkpoint's saliency, in all layers, by all methods, on all splits.
        ablation: seconds of one checkpoint's deletions, in all layers.
        saliency_rows, attribution_rows, ablation_rows, damage_rows: rows of one checkpoint in these tables.
        example_rows: rows of one checkpoint in the table `example_saliency`.
    """

    step: float
    evaluation: float
    attribution: float
    ablation: float
    saliency_rows: int
    attribution_rows: int
    example_rows: int
    ablation_rows: int
    damage_rows: int


def measured(study: Study, condition: Condition, seconds: float, every_saliency: bool = False) -> Rates:
    """Measure the rates of a condition.

    Args:
        study: the study, for its measurements.
        condition: the condition, whose network is not trained.
        seconds: shortest total time of the calls that a rate is measured from.
        every_saliency: whether every saliency ranks neurons for deletion, or only the registered one.
    """
    replica = generated_replica(condition, seed=1000)
    settings = study.measurements
    return Rates(
        step=_seconds(lambda: replica.update(is_observed=False), seconds),
        evaluation=_seconds(replica.evaluate, seconds),
        **_of_saliency(settings.saliency, replica.model, replica.splits, seconds),
        **_of_ablation(settings, replica, seconds, every_saliency),
    )


def in_every_way(study: Study, condition: Condition) -> Rates:
    """Measure the rates of a condition with the measurements of specification curves, from one call each."""
    usual = study.measurements
    every = usual.model_copy(update={"saliency": usual.specification, "ablation": usual.specification_ablation})
    return measured(study.model_copy(update={"measurements": every}), condition, 0.0, every_saliency=True)


def _of_saliency(
    settings: AttributionSettings, model: Network, splits: Mapping[str, Examples], seconds: float
) -> dict[str, Any]:
    """Return the seconds and rows of one checkpoint's attributions."""
    rows: dict[str, int] = {}

    def work() -> None:
        neurons, layers = _attributed(settings, model, splits)
        # `example_saliency` has a row for each neuron, attribution and example. A layer has several attributions; the
        # sum over them counts an example once for each.
        n_neurons = neurons.groupby(["split", "layer", "site"], sort=False)["neuron"].nunique()
        n_examples = layers.groupby(["split", "layer", "site"], sort=False)["examples"].sum()
        example_rows = int((n_neurons * n_examples).sum())
        rows.update(saliency_rows=len(neurons), attribution_rows=len(layers), example_rows=example_rows)

    return {"attribution": _seconds(work, seconds), **rows}


def _attributed(
    settings: AttributionSettings, model: Network, splits: Mapping[str, Examples]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables `saliency` and `attribution` of one checkpoint."""
    return saliency.measure(model, splits, from_json(saliency.Questions, settings.as_option()), seed=1000)


def _of_ablation(
    settings: MeasurementSettings, replica: Replica, seconds: float, every_saliency: bool
) -> dict[str, Any]:
    """Return the seconds and rows of one checkpoint's deletions."""
    deletion = settings.ablation
    parts = {str(name): replica.splits[name] for name in deletion.splits}
    salience, _ = _attributed(settings.saliency, replica.model, {"train": replica.splits["train"]})
    if not every_saliency:
        salience = rows_of(salience, **{name: REGISTERED[name] for name in ("method", "target", "normalisation")})
    names = {field.name for field in dataclasses.fields(ablation.DeletionSettings)} - {"areas_only"}
    option = ablation.DeletionSettings(**{name: getattr(deletion, name) for name in names}, areas_only=every_saliency)
    rows: dict[str, int] = {}

    def work() -> None:
        curves, damage = ablation.measure(replica.model, parts, salience, option, scale=1.0, seed=1000)
        rows.update(ablation_rows=len(curves), damage_rows=len(damage))

    return {"ablation": _seconds(work, seconds), **rows}


def measuring(condition: Condition) -> float:
    """Return the seconds of one checkpoint's progress measures, on an untrained network."""
    model, ground, general = _general(condition)
    return once(lambda: progress.measure(model, ground, general, torch.float32))


def following(condition: Condition) -> float:
    """Return the seconds that one more example's gradient adds to a checkpoint."""
    model, ground, general = _general(condition)
    follow = partial(progress.single_examples, model, ground, general, torch.float32, seed=1000)
    # The difference leaves out the work that is done once for all examples. Noise can make it negative.
    one, three = (once(partial(follow, n=n)) for n in (1, 3))
    return max(0.0, (three - one) / 2)


def _general(condition: Condition) -> tuple[Network, ExamplesByAnswer, General]:
    """Return an untrained network, its examples grouped by answer, and the general part of its logits."""
    replica, task = generated_replica(condition, seed=1000), registry.generate(condition.task)
    group = solution.find(condition.task, task.inputs.astype(np.int64), task.target.astype(np.int64))
    ground = ExamplesByAnswer.of(replica.splits, group, task.vocabulary.n_classes)
    return replica.model, ground, General.of(ground, forces.answer(replica.model, ground.tokens))


def tracking(condition: Condition) -> float:
    """Return the seconds of one checkpoint's tracked updates, on an untrained network."""
    replica = generated_replica(condition, seed=1000)
    checkpoints = [(0, replica.model)]
    return once(lambda: list(track(checkpoints, replica.splits["train"], condition.optimiser, 1000)))


def generated_splits(condition: Condition, seed: int) -> dict[str, Examples]:
    """Return one replica's examples by split, equal to those of a study but without its files."""
    task = registry.generate(condition.task)
    split = draw(task.pair, task.target, task.vocabulary.n_classes, condition.split, seed)
    inputs = task.frame()[list(INPUTS)]
    return by_split(split.join(inputs), task.vocabulary, torch.device("cpu"))


def generated_replica(condition: Condition, seed: int) -> Replica:
    """Return one replica before its first update, on `generated_splits`."""
    task = registry.generate(condition.task)
    return Replica(condition, generated_splits(condition, seed), task.vocabulary, seed)


def once(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _seconds(work: Callable[[], object], at_least: float) -> float:
    """Return the median seconds of calls that together take at least so long.

    The first call also allocates buffers, so it counts only if it alone already takes long enough.
    """
    start = time.perf_counter()
    work()
    times = [time.perf_counter() - start]
    if times[0] < at_least:
        times.clear()
        while sum(times) < at_least:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def start_seconds(stage: str) -> float:
    """Return the seconds that a job of this stage takes to start and to end, without any work."""
    command = [sys.executable, "-m", f"general_circuits.stages.{stage}", "--help"]
    return _seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 0.1)
