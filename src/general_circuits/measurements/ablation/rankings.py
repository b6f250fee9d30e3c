"""In which order neurons are deleted: the largest first by a statistic of saliency or by a norm, the smallest, any."""

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
"""What neurons can be ranked by: statistics of the saliency table, and two norms that know nothing of it."""
NORMS = ("activation_norm", "weight_norm")

ATTRIBUTION = ("method", "target", "normalisation")
REGISTERED_ATTRIBUTION = tuple(REGISTERED[name] for name in ATTRIBUTION)
REGISTERED_BY = "mean_magnitude"
NONE = "none"


@dataclass(frozen=True)
class Ranking:
    """One way to choose the k neurons to delete, for every k.

    Attributes:
        names: its columns in the tables: `ranking`, `by`, `method`, `target`, `normalisation`, `draw`.
        order: the neurons that are ranked (ranked), the first to be deleted first.
        sets: by k, the neurons deleted instead of the first k of `order`, or None where there are too few that match;
            None itself where they are the first k.
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
    """Every ranking of one place's neurons.

    `top` by each statistic of each saliency there is, and by each norm that is asked for; for the registered one also
    `bottom`, its reverse but for ties, and `matched`, others whose activation norms are like the top k's; and `random`.

    Args:
        train: the place on training examples.
        salience: its rows of the saliency table, of training examples: by neuron, once for each attribution.
        is_ranked: which neurons are ranked, (neuron).
        by: the statistics and norms.
        kept: the k that matched neurons are found for.
        orders: random permutations of all the neurons, (draw, neuron).
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
    """Those of the neurons that are ranked, from the largest value to the smallest; equal ones by number."""
    order = np.argsort(-values, kind="stable")
    return order[is_ranked[order]]


def random_orders(n_neurons: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Random rankings (draw, neuron), the same at every step of a replica, so that changes over time are paired."""
    generator = np.random.default_rng(stream_seed(seed, "ablation"))
    return np.stack([generator.permutation(n_neurons) for _ in range(draws)])


def activation_norm(layer: Layer) -> NDArray[np.float64]:
    """Root of each neuron's summed squared units over examples and the positions that reach the answer, (neuron)."""
    squares = layer.by_neuron(layer.units.double().square())
    return squares.sum(dim=0).sqrt().cpu().numpy()


def weight_norm(layer: Layer) -> NDArray[np.float64]:
    """Norm of each neuron's weights in times that of its weights out, (neuron)."""
    return layer.model.weight_norms(layer.place).detach().double().cpu().numpy()


def sizes(n_neurons: int, points: int | Literal["all"]) -> list[int]:
    """The k to measure, from 1: all, or so many evenly on a log axis and a quarter of the neurons, where D ends.

    Of no neurons, none.
    """
    if points == "all" or n_neurons == 0:
        return list(range(1, n_neurons + 1))
    geometric = {round(n_neurons ** (i / (points - 1))) for i in range(points)}
    return sorted(geometric | {last_of_area(n_neurons)})
