"""Rankings of neurons, which are the orders of deletion: by a statistic of saliency, by a norm, or random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.measurements.ablation.curves import last_of_area
from general_circuits.measurements.ablation.matching import matched
from general_circuits.models.layer import Layer
from general_circuits.registered import REGISTERED
from general_circuits.seeds import stream_seed

By = Literal[
    "mean_magnitude", "median_magnitude", "q95_magnitude", "median", "breadth", "activation_norm", "weight_norm"
]
"""Quantities that neurons can be ranked by: statistics of the saliency table, and two norms that do not use it."""
NORMS = ("activation_norm", "weight_norm")

ATTRIBUTION = ("method", "target", "normalisation")
REGISTERED_ATTRIBUTION = tuple(REGISTERED[name] for name in ATTRIBUTION)
REGISTERED_BY = "mean_magnitude"
NONE = "none"


@dataclass(frozen=True)
class Ranking:
    """Choice of the k neurons to delete, for every k.

    Attributes:
        names: columns that identify it in the tables: `ranking`, `by`, `method`, `target`, `normalisation`, `draw`.
        order: the ranked neurons, (ranked), in the order of their deletion.
        sets: None if the first k of `order` are deleted. Otherwise the neurons to delete instead, by k. A set is None
            where too few neurons match.
    """

    names: Mapping[str, str | int]
    order: NDArray[np.int64]
    sets: Mapping[int, NDArray[np.int64] | None] | None = None


def rankings(
    train: Layer,
    salience: pd.DataFrame,
    is_ranked: NDArray[np.bool_],
    by: Sequence[By],
    kept: NDArray[np.int64],
    orders: NDArray[np.int64],
) -> Iterator[Ranking]:
    """Yield every ranking of the neurons of one place.

    `top`: largest first, by each statistic of each attribution and by each norm in `by`.
    `bottom`: smallest first, by the registered statistic. It is the reverse of `top` but for ties.
    `matched`: other neurons, with activation norms similar to the registered top k.
    `random`: the given random orders.

    Args:
        train: the place on training examples.
        salience: the place's rows of the saliency table on training examples, one per neuron and attribution.
        is_ranked: mask of the neurons to rank, (neuron).
        by: statistics and norms to rank by.
        kept: every k for which matched neurons are searched.
        orders: random permutations of all neurons, (draw, neuron).
    """
    norms = {"activation_norm": activation_norm(train), "weight_norm": weight_norm(train)}
    for attribution, rows in salience.groupby(list(ATTRIBUTION), observed=True, sort=True):
        rows = rows.sort_values("neuron")
        for statistic in by:
            if statistic in NORMS:
                continue
            values = np.abs(rows[statistic].to_numpy(dtype=float))
            top = ranked(values, is_ranked)
            names = dict(zip(ATTRIBUTION, attribution, strict=True)) | {"by": statistic, "draw": 0}
            yield Ranking({"ranking": "top", **names}, top)
            if (statistic, *attribution) == (REGISTERED_BY, *REGISTERED_ATTRIBUTION):
                yield Ranking({"ranking": "bottom", **names}, ranked(-values, is_ranked))
                partners = {k: matched(top, k, norms["activation_norm"]) for k in kept.tolist()}
                yield Ranking({"ranking": "matched", **names}, top, partners)
    unattributed = dict.fromkeys(ATTRIBUTION, NONE)
    for name, norm in norms.items():
        if name in by:
            yield Ranking({"ranking": "top", "by": name, "draw": 0, **unattributed}, ranked(norm, is_ranked))
    for draw, order in enumerate(orders):
        names = {"ranking": "random", "by": NONE, "draw": draw, **unattributed}
        yield Ranking(names, order[is_ranked[order]])


def ranked(values: NDArray[np.float64], is_ranked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rank neurons from the largest value to the smallest, and equal values by number. Only the masked ones stay."""
    order = np.argsort(-values, kind="stable")  # NaN comes last
    return order[is_ranked[order]]


def random_orders(n_neurons: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Draw random orders (draw, neuron). They are the same at every step of a replica, so that steps are paired."""
    generator = np.random.default_rng(stream_seed(seed, "ablation"))
    return np.stack([generator.permutation(n_neurons) for _ in range(draws)])


def activation_norm(layer: Layer) -> NDArray[np.float64]:
    """Return the norm of each neuron's activations, (neuron), over examples and positions that reach the answer."""
    squares = layer.by_neuron(layer.units.double().square())
    return squares.sum(dim=0).sqrt().cpu().numpy()


def weight_norm(layer: Layer) -> NDArray[np.float64]:
    """Return the norm of each neuron's weights in times the norm of its weights out, (neuron)."""
    return layer.model.weight_norms(layer.place).detach().double().cpu().numpy()


def sizes(n_neurons: int, points: int | Literal["all"]) -> list[int]:
    """List every k to measure, from 1. There is none for no neurons.

    `points` is "all", or a number of points that are evenly spaced on a log axis. A quarter of the neurons is always a
    point, because the area of the damage ends there.
    """
    if points == "all" or n_neurons == 0:
        return list(range(1, n_neurons + 1))
    geometric = {round(n_neurons ** (i / (points - 1))) for i in range(points)}
    return sorted(geometric | {last_of_area(n_neurons)})
