"""How long the parts of a study take: measured here and now, on one thread and untrained networks."""

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
    """Seconds on this machine, and what they make.

    Attributes:
        step: of an update.
        evaluation: of both splits, whole.
        attribution: of one checkpoint, all layers, methods and splits.
        ablation: of one checkpoint, all layers and deletions.
        saliency_rows, attribution_rows, example_rows, ablation_rows, damage_rows: of one checkpoint, in the tables of
            these names; `example_saliency` for short.
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
    """A condition's, of one checkpoint; where neurons are ranked, by the registered saliency or by every one."""
    replica = generated_replica(condition, seed=1000)
    settings = study.measurements
    return Rates(
        step=_seconds(lambda: replica.update(is_observed=False), seconds),
        evaluation=_seconds(replica.evaluate, seconds),
        **_of_saliency(settings.saliency, replica.model, replica.splits, seconds),
        **_of_ablation(settings, replica, seconds, every_saliency),
    )


def in_every_way(study: Study, condition: Condition) -> Rates:
    """The rates of a condition of which everything that specification curves ask is measured, once."""
    asked = study.measurements
    every = asked.model_copy(update={"saliency": asked.specification, "ablation": asked.specification_ablation})
    return measured(study.model_copy(update={"measurements": every}), condition, 0.0, every_saliency=True)


def _of_saliency(
    settings: AttributionSettings, model: Network, splits: Mapping[str, Examples], seconds: float
) -> dict[str, Any]:
    """The rates of one checkpoint's attributions."""
    rows: dict[str, int] = {}

    def work() -> None:
        neurons, layers = _attributed(settings, model, splits)
        of_layer = neurons.groupby(["split", "layer", "site"], sort=False)["neuron"].nunique()
        examples = layers.groupby(["split", "layer", "site"], sort=False)["examples"].sum()
        counted = int((of_layer * examples).sum())
        rows.update(saliency_rows=len(neurons), attribution_rows=len(layers), example_rows=counted)

    return {"attribution": _seconds(work, seconds), **rows}


def _attributed(
    settings: AttributionSettings, model: Network, splits: Mapping[str, Examples]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `saliency` and `attribution` of one checkpoint."""
    return saliency.measure(model, splits, from_json(saliency.Questions, settings.as_option()), seed=1000)


def _of_ablation(
    settings: MeasurementSettings, replica: Replica, seconds: float, every_saliency: bool
) -> dict[str, Any]:
    """The rates of one checkpoint's deletions."""
    deleted = settings.ablation
    parts = {str(name): replica.splits[name] for name in deleted.splits}
    salience, _ = _attributed(settings.saliency, replica.model, {"train": replica.splits["train"]})
    if not every_saliency:
        salience = rows_of(salience, **{name: REGISTERED[name] for name in ("method", "target", "normalisation")})
    names = {field.name for field in dataclasses.fields(ablation.DeletionSettings)} - {"areas_only"}
    told = ablation.DeletionSettings(**{name: getattr(deleted, name) for name in names}, areas_only=every_saliency)
    rows: dict[str, int] = {}

    def work() -> None:
        curves, damage = ablation.measure(replica.model, parts, salience, told, scale=1.0, seed=1000)
        rows.update(ablation_rows=len(curves), damage_rows=len(damage))

    return {"ablation": _seconds(work, seconds), **rows}


def measuring(condition: Condition) -> float:
    """Seconds of one checkpoint's progress, on an untrained network."""
    model, ground, general = _general(condition)
    return once(lambda: progress.measure(model, ground, general, torch.float32))


def following(condition: Condition) -> float:
    """Seconds of one example's gradient, beside what is made once for all of them."""
    model, ground, general = _general(condition)
    follow = partial(progress.single_examples, model, ground, general, torch.float32, seed=1000)
    one, three = (once(partial(follow, n=n)) for n in (1, 3))
    return max(0.0, (three - one) / 2)


def _general(condition: Condition) -> tuple[Network, ExamplesByAnswer, General]:
    """An untrained network, all examples, and what it would be measured by."""
    replica, task = generated_replica(condition, seed=1000), registry.generate(condition.task)
    found = solution.find(condition.task, task.inputs.astype(np.int64), task.target.astype(np.int64))
    ground = ExamplesByAnswer.of(replica.splits, found, task.vocabulary.n_classes)
    return replica.model, ground, General.of(ground, forces.answer(replica.model, ground.tokens))


def tracking(condition: Condition) -> float:
    """Seconds of one checkpoint's neurons and their gradients, on an untrained network."""
    replica = generated_replica(condition, seed=1000)
    followed = [(0, replica.model)]
    return once(lambda: list(track(followed, replica.splits["train"], condition.optimiser, 1000)))


def generated_splits(condition: Condition, seed: int) -> dict[str, Examples]:
    """One replica's examples as a study would make them, without its files."""
    task = registry.generate(condition.task)
    split = draw(task.pair, task.target, task.vocabulary.n_classes, condition.split, seed)
    inputs = task.frame()[list(INPUTS)]
    return by_split(split.join(inputs), task.vocabulary, torch.device("cpu"))


def generated_replica(condition: Condition, seed: int) -> Replica:
    """One replica before its first update, on `generated_splits`."""
    task = registry.generate(condition.task)
    return Replica(condition, generated_splits(condition, seed), task.vocabulary, seed)


def once(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _seconds(work: Callable[[], object], at_least: float) -> float:
    """The median time of a call, after one that is not counted, unless that one already took long enough."""
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
    """How long a job takes before it does anything, and to leave."""
    asked = [sys.executable, "-m", f"general_circuits.stages.{stage}", "--help"]
    return _seconds(lambda: subprocess.run(asked, check=True, stdout=subprocess.DEVNULL), 0.1)
