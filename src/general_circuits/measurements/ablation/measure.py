"""All deletions of one checkpoint, as rows of the `ablation` table and of the `damage` table."""

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
    """Settings of the deletions.

    Attributes:
        sites: sites to delete at. Sites that the network lacks are left out.
        deletions: kinds of deletion.
        rankings: quantities to rank neurons by. Random rankings come on top.
        dead_units: whether neurons that fire on no training example are ranked.
        k_points: number of points k on a log axis, or "all".
        random_draws: number of random rankings.
        examples: number of examples per split to delete on, drawn by replica. 0 means all.
        areas_only: keep only a few k in the `ablation` table where margins at every k of an area are measured anyway.
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
    """Rankings at one place. They are the same on every split and for every kind of deletion.

    Attributes:
        dead_units: whether neurons that fire on no training example are ranked.
        kept: every k of the `ablation` table, ascending from 0.
        rankings: all rankings of the place.
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
    """Carry out all deletions in one checkpoint.

    Args:
        model: the network.
        splits: all examples of each split, "train" among them. Means, norms, donors and dead units come from all
            training examples.
        salience: the checkpoint's rows of the saliency table on training examples. A place without rows is ranked by
            norms and at random only.
        settings: the deletions to carry out.
        scale: the network's logit scale on all training examples.
        seed: the replica's seed.

    Returns:
        The `ablation` table and the `damage` table, without the columns condition, replica and step.
    """
    keys: list[dict[str, Any]] = []
    curves: list[Curve] = []
    drawn = {name: part.drawn(settings.examples, seed) for name, part in splits.items()}
    parts = {name: part.some(drawn[name]) for name, part in splits.items()}
    all_train = splits["train"]
    others = {name: part for name, part in parts.items() if name != "train"}
    for place in model.places(settings.sites):
        train = Layer.at(model, all_train.tokens, all_train.labels, place)
        layers = {name: Layer.at(model, part.tokens, part.labels, place) for name, part in others.items()}
        layers["train"] = train.some(drawn["train"])
        rows = salience[(salience["layer"] == place.layer) & (salience["site"] == place.site)]
        orders = random_orders(train.n_neurons, settings.random_draws, seed)
        plans = [_plan(train, rows, dead_units, settings, orders) for dead_units in settings.dead_units]
        for deletion in settings.deletions:
            for name, layer in layers.items():
                values = replacement(layer, train, deletion, seed, drawn[name] if name == "train" else None)
                groups = _groups(name, parts[name])
                for names, curve in deletion_curves(layer, values, plans, groups, scale):
                    keys.append({"layer": place.layer, "site": place.site, "deletion": deletion, **names})
                    curves.append(curve)
    return _tables(keys, curves)


def _tables(keys: Sequence[Mapping[str, Any]], curves: Sequence[Curve]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build the `ablation` and the `damage` table from curves and the columns that identify each curve."""
    # Words are stored as categories. As strings, the rows of many checkpoints would fill the memory.
    words = ("split", "site", "dead_units", "deletion", "ranking", "by", *ATTRIBUTION)
    of_curves = pd.DataFrame(keys).astype(dict.fromkeys(words, "category"))
    columns = [curve.columns() for curve in curves]
    together = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
    lengths = [len(curve.kept) for curve in curves]
    of_k = of_curves.loc[np.repeat(of_curves.index, lengths)].reset_index(drop=True).assign(**together)
    return of_k, of_curves.join(pd.DataFrame([curve.summary() for curve in curves]))


def deletion_curves(
    layer: Layer, values: Tensor, plans: Sequence[Plan], groups: Mapping[str, Tensor | None], scale: float
) -> Iterator[tuple[dict[str, Any], Curve]]:
    """Yield, for every ranking of every plan and every group of examples, its columns in the tables and its curve.

    An order that occurs several times is deleted once.
    """
    nested = Nested(layer, values, scale) if layer.is_linear else None
    known: dict[tuple[bytes, bool], dict[str, Curve]] = {}
    for plan in plans:
        for ranking in plan.rankings:
            # `plan.kept` follows from the length of the order, so equal orders have equal k.
            key = ranking.order.tobytes(), ranking.sets is None
            if key not in known:
                answers = _answers(layer, values, ranking, plan.kept, scale, nested)
                curves = {name: Curve.over(answers, group, scale, len(ranking.order)) for name, group in groups.items()}
                if ranking.sets is not None:  # a k without a matched set becomes a row of NaN
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
    """Delete the neurons of one ranking by the fastest way that is exact at this place."""
    if ranking.sets is None and nested is not None:
        return nested.curve(ranking.order, kept)
    if ranking.sets is None:
        return recomputed(layer, [ranking.order[:k] for k in kept], values, scale)
    # Matched sets are not nested. They hold at most half of the neurons, so `subtracted` may be used.
    sets = [neurons for neurons in ranking.sets.values() if neurons is not None]
    return (recomputed if nested is None else subtracted)(layer, sets, values, scale)


def _plan(
    train: Layer, salience: pd.DataFrame, dead_units: DeadUnits, settings: DeletionSettings, orders: NDArray[np.int64]
) -> Plan:
    """Rank the neurons of one place, with or without dead units."""
    is_ranked = np.ones(train.n_neurons, dtype=bool)
    if dead_units == "excluded":
        fires = salience.groupby("neuron")["alive"].any()
        is_ranked = fires.to_numpy() if len(fires) else train.fires.any(dim=0).cpu().numpy()
    # Where logits are linear, `Nested` measures margins at every k of an area anyway, so the ends of the axis suffice.
    points = 2 if settings.areas_only and train.is_linear else settings.k_points
    kept = np.array([0, *sizes(int(is_ranked.sum()), points)])
    return Plan(dead_units, kept, list(rankings(train, salience, is_ranked, settings.rankings, kept, orders)))


def _groups(split: str, part: Examples) -> dict[str, Tensor | None]:
    """Return the groups of examples that get rows of their own, as masks (example), or None for all.

    They are the split itself and, with label noise, the training examples with corrupted and with true labels.
    """
    groups: dict[str, Tensor | None] = {split: None}
    if split == "train" and part.is_corrupted is not None:
        parts = {"train_corrupted": part.is_corrupted, "train_true": ~part.is_corrupted}
        groups |= {name: mask for name, mask in parts.items() if mask.any()}
    return groups
