"""All deletions of one checkpoint, as rows of the `ablation` and the `damage` table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.ablation.answers import Answers, recomputed, subtracted
from general_circuits.measurements.ablation.curves import Curve
from general_circuits.measurements.ablation.deletion import Deletion, replacement
from general_circuits.measurements.ablation.nested import Nested
from general_circuits.measurements.ablation.rankings import ATTRIBUTION, By, Ranking, random_orders, rankings, sizes
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Site
from general_circuits.tasks.examples import Examples

DeadUnits = Literal["included", "excluded"]


@dataclass(frozen=True)
class DeletionSettings:
    """What to delete.

    Attributes:
        sites: where; those that the network lacks are left out.
        deletions: what deleted units are set to.
        rankings: what neurons are ranked by, beside at random.
        dead_units: whether neurons that fire on no training example are ranked.
        k_points: sizes k on a log axis, or "all".
        random_draws: random rankings.
        examples: to delete on, of each split, drawn by replica; 0 is all.
        areas_only: where every k that an area needs is measured anyway, keep but a few.
    """

    sites: Sequence[Site]
    deletions: Sequence[Deletion]
    rankings: Sequence[By]
    dead_units: Sequence[DeadUnits]
    k_points: int | Literal["all"]
    random_draws: int
    examples: int = 0
    areas_only: bool = False


@dataclass(frozen=True)
class Plan:
    """What is deleted at one place: the same on every split and under every deletion.

    Attributes:
        dead_units: whether neurons that fire on no training example are ranked.
        kept: the k of the `ablation` table, ascending from 0.
        rankings: every one.
    """

    dead_units: DeadUnits
    kept: NDArray[np.int64]
    rankings: Sequence[Ranking]


@torch.no_grad()
def measure(
    model: Network,
    splits: Mapping[str, Examples],
    salience: pd.DataFrame,
    settings: DeletionSettings,
    scale: float,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Everything deleted in one checkpoint: the `ablation` and the `damage` table, but for condition, replica and step.

    Args:
        model: the network.
        splits: whole; "train" among them. Means, norms, donors and dead units are of all training examples.
        salience: the checkpoint's rows of the saliency table, of training examples. Where a place has none, its neurons
            are ranked by norms and at random only.
        settings: what to delete.
        scale: the network's logit scale on all training examples.
        seed: the replica.
    """
    keys: list[dict[str, Any]] = []
    curves: list[Curve] = []
    drawn = {name: part.drawn(settings.examples, seed) for name, part in splits.items()}
    parts = {name: part.some(drawn[name]) for name, part in splits.items()}
    whole = splits["train"]
    others = {name: part for name, part in parts.items() if name != "train"}
    for place in model.places(settings.sites):
        train = Layer.at(model, whole.tokens, whole.labels, place)
        layers = {name: Layer.at(model, part.tokens, part.labels, place) for name, part in others.items()}
        layers["train"] = train.some(drawn["train"])
        here = salience[(salience["layer"] == place.layer) & (salience["site"] == place.site)]
        orders = random_orders(train.n_neurons, settings.random_draws, seed)
        plans = [_plan(train, here, dead_units, settings, orders) for dead_units in settings.dead_units]
        for deletion in settings.deletions:
            for name, layer in layers.items():
                values = replacement(layer, train, deletion, seed, drawn[name] if name == "train" else None)
                groups = _groups(name, parts[name])
                for names, curve in carried_out(layer, values, plans, groups, scale):
                    keys.append({"layer": place.layer, "site": place.site, "deletion": deletion, **names})
                    curves.append(curve)
    return _tables(keys, curves)


def _tables(keys: Sequence[Mapping[str, Any]], curves: Sequence[Curve]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables, from the columns that tell curves apart, and the curves."""
    # Words as categories: of many checkpoints together they would fill the memory.
    words = ("split", "site", "dead_units", "deletion", "ranking", "by", *ATTRIBUTION)
    of_curves = pd.DataFrame(keys).astype(dict.fromkeys(words, "category"))
    columns = [curve.columns() for curve in curves]
    together = {name: np.concatenate([of[name] for of in columns]) for name in columns[0]}
    lengths = [len(curve.kept) for curve in curves]
    of_k = of_curves.loc[np.repeat(of_curves.index, lengths)].reset_index(drop=True).assign(**together)
    return of_k, of_curves.join(pd.DataFrame([curve.summary() for curve in curves]))


def carried_out(
    layer: Layer, values: Tensor, plans: Sequence[Plan], groups: Mapping[str, Tensor | None], scale: float
) -> Iterator[tuple[dict[str, Any], Curve]]:
    """Every ranking of every plan, deleted: its columns in the tables, and its curve over each group of examples.

    Orders that occur several times are deleted once.
    """
    nested = Nested(layer, values, scale) if layer.is_linear else None
    known: dict[tuple[bytes, bool], dict[str, Curve]] = {}
    for plan in plans:
        for ranking in plan.rankings:
            key = ranking.order.tobytes(), ranking.sets is None
            if key not in known:
                found = _answers(layer, values, ranking, plan.kept, scale, nested)
                curves = {name: Curve.over(found, group, scale, len(ranking.order)) for name, group in groups.items()}
                if ranking.sets is not None:  # not every k has a set
                    curves = {name: curve.extended(plan.kept) for name, curve in curves.items()}
                known[key] = curves
            for name, curve in known[key].items():
                yield {"split": name, "dead_units": plan.dead_units, **ranking.names}, curve


def _answers(
    layer: Layer,
    values: Tensor,
    ranking: Ranking,
    kept: NDArray[np.int64],
    scale: float,
    nested: Nested | None,
) -> Answers:
    if ranking.sets is None and nested is not None:
        return nested.curve(ranking.order, kept)
    if ranking.sets is None:
        return recomputed(layer, [ranking.order[:k] for k in kept], values, scale)
    found = [neurons for neurons in ranking.sets.values() if neurons is not None]
    return (recomputed if nested is None else subtracted)(layer, found, values, scale)


def _plan(
    train: Layer, salience: pd.DataFrame, dead_units: DeadUnits, settings: DeletionSettings, orders: NDArray[np.int64]
) -> Plan:
    ranked = np.ones(train.n_neurons, dtype=bool)
    if dead_units == "excluded":
        fires = salience.groupby("neuron")["alive"].any()
        ranked = fires.to_numpy() if len(fires) else train.fires.any(dim=0).cpu().numpy()
    points = 2 if settings.areas_only and train.is_linear else settings.k_points
    kept = np.array([0, *sizes(int(ranked.sum()), points)])
    found = rankings(train, salience, ranked, settings.rankings, kept, orders)
    return Plan(dead_units, kept, list(found))


def _groups(split: str, part: Examples) -> dict[str, Tensor | None]:
    """The splits that a split's rows are of: itself and, after label noise, its corrupted and its true labels apart."""
    found: dict[str, Tensor | None] = {split: None}
    if split == "train" and part.is_corrupted is not None:
        parts = {"train_corrupted": part.is_corrupted, "train_true": ~part.is_corrupted}
        found |= {name: mask for name, mask in parts.items() if mask.any()}
    return found
