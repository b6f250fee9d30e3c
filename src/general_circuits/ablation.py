"""Ablation: delete neurons in some order, and see what the network can still do.

A deleted unit is set to zero or to its mean at every position. Orders are nested: the first k of one are deleted.
Where the logits are linear in the layer, each larger k only subtracts what the newly deleted units wrote.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits import scores
from general_circuits.examples import Examples
from general_circuits.models.network import Network
from general_circuits.randomness import stream_seed

CALIPER = 0.25
"""Largest distance of a matched unit's activation norm, in standard deviations over the layer's units."""

LOGITS_AT_ONCE = 2**18
"""About as many as stay in a processor's cache while they are scored, for every k."""


@dataclass(frozen=True)
class Layer:
    """One layer's neurons on some examples, and what is needed to go on from them.

    Attributes:
        model: the network at one checkpoint.
        index: which block's MLP.
        resid_mid: (example, position, d_model).
        post: (example, position, neuron).
        logits: (example, class), with every neuron in place.
        labels: (example).
    """

    model: Network
    index: int
    resid_mid: Tensor
    post: Tensor
    logits: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Curve:
    """What is left when k units are deleted; each array is (order, k)."""

    accuracy: NDArray[np.float64]
    loss: NDArray[np.float64]
    margin: NDArray[np.float64]


@torch.no_grad()
def at_layer(model: Network, tokens: Tensor, labels: Tensor, index: int) -> Layer:
    """Run the network on tokens (example, position) up to one layer's neurons."""
    resid_mid, post = model.run_to_neurons(tokens, index)
    return Layer(model, index, resid_mid, post, model.answer_from_neurons(resid_mid, post, index), labels)


def measure(
    model: Network,
    splits: Mapping[str, Examples],
    salience: Mapping[int, NDArray[np.float64]],
    deletions: Sequence[str],
    k_points: int,
    random_draws: int,
    seed: int,
) -> pd.DataFrame:
    """Everything deleted in one checkpoint: a row per `split`, `layer`, `deletion`, `ranking`, `draw` and `k`.

    Args:
        model: the network.
        splits: the examples to delete on.
        salience: by layer, that of its units on training examples (neuron).
        deletions: what deleted units are set to.
        k_points: how many numbers of units, on a log axis.
        random_draws: random rankings.
        seed: the replica.
    """
    frames = []
    for index in range(model.settings.n_layers):
        layers = {name: at_layer(model, part.tokens, part.labels, index) for name, part in splits.items()}
        plan = Plan.of(salience[index], layers["train"], k_points, random_draws, seed)
        for deletion in deletions:
            values = replacement(layers["train"], deletion)
            for name, layer in layers.items():
                frames.append(plan.carry_out(layer, values).assign(split=name, layer=index, deletion=deletion))
    return pd.concat(frames, ignore_index=True)


def sizes(n_neurons: int, points: int) -> list[int]:
    """The k to measure: from 1 to all units evenly on a log axis, and a quarter of the units, where D ends."""
    geometric = {round(n_neurons ** (i / (points - 1))) for i in range(points)}
    return sorted(geometric | {max(1, n_neurons // 4)})


def replacement(layer: Layer, deletion: str) -> Tensor:
    """What a deleted unit is set to, (position, neuron): zero, or its mean over this layer's examples."""
    return torch.zeros_like(layer.post[0]) if deletion == "zero" else layer.post.mean(dim=0)


def activation_norm(layer: Layer) -> NDArray[np.float64]:
    """Root of each unit's summed squared activation over examples and the positions that reach the answer, (neuron)."""
    post = layer.post[:, -1:] if layer.model.is_last(layer.index) else layer.post
    return post.double().square().sum(dim=(0, 1)).sqrt().cpu().numpy()


def ranked(salience: NDArray[np.float64]) -> NDArray[np.int64]:
    """Neurons from the most salient to the least; equal ones by number."""
    return np.argsort(-salience, kind="stable")


def random_orders(n_neurons: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Random rankings (draw, neuron), the same at every step of a replica, so that changes over time are paired."""
    generator = np.random.default_rng(stream_seed(seed, "ablation"))
    return np.stack([generator.permutation(n_neurons) for _ in range(draws)])


def matched(order: NDArray[np.int64], k: int, norm: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """For the first k of `order`, as many other units of like activation norm, (k); None where there are too few.

    Greedy from the most salient, without replacement, nearest norm first, within `CALIPER` standard deviations.
    """
    free = np.ones(len(norm), dtype=bool)
    free[order[:k]] = False
    caliper = CALIPER * norm.std()
    partners = np.empty(k, dtype=np.int64)
    for i, unit in enumerate(order[:k]):
        distance = np.where(free, np.abs(norm - norm[unit]), np.inf)
        partners[i] = np.argmin(distance)
        if not distance[partners[i]] <= caliper:
            return None
        free[partners[i]] = False
    return partners


@dataclass(frozen=True)
class Plan:
    """Which units are deleted: the same sets on every split and under every deletion.

    Attributes:
        ks: ascending numbers of deleted units, from 0.
        orders: by ranking, (draw, neuron): `top` (most salient first), `bottom` (least), `random`.
        matched: by k, units of like activation norm in place of the top k; None where the layer has too few.
    """

    ks: list[int]
    orders: dict[str, NDArray[np.int64]]
    matched: dict[int, NDArray[np.int64] | None]

    @classmethod
    def of(cls, salience: NDArray[np.float64], train: Layer, k_points: int, random_draws: int, seed: int) -> Plan:
        """From the salience of the units (neuron) and the layer on training examples."""
        n_neurons = len(salience)
        top, norm = ranked(salience), activation_norm(train)
        ks = sizes(n_neurons, k_points)
        orders = {
            "top": top[None],
            "bottom": ranked(-salience)[None],
            "random": random_orders(n_neurons, random_draws, seed),
        }
        return cls([0, *ks], orders, {k: matched(top, k, norm) for k in ks})

    def carry_out(self, layer: Layer, values: Tensor) -> pd.DataFrame:
        """Delete everything planned: one row per ranking, draw and k, NaN where no matched set exists."""
        curve = damage_curve(layer, np.concatenate(list(self.orders.values())), self.ks, values)
        names = [(ranking, draw) for ranking, orders in self.orders.items() for draw in range(len(orders))]
        frames = [_rows(curve, row, ranking, draw, self.ks) for row, (ranking, draw) in enumerate(names)]
        sets = {k: units for k, units in self.matched.items() if units is not None}
        if sets:
            frames.append(_rows(damage_of_sets(layer, list(sets.values()), values), 0, "matched", 0, list(sets)))
        missing = [k for k in self.matched if k not in sets]
        frames.append(pd.DataFrame({"ranking": "matched", "draw": 0, "k": missing}).reindex(columns=frames[0].columns))
        return pd.concat([frame for frame in frames if len(frame)], ignore_index=True)


def _rows(curve: Curve, row: int, ranking: str, draw: int, ks: Sequence[int]) -> pd.DataFrame:
    columns = {"accuracy": curve.accuracy[row], "loss": curve.loss[row], "margin": curve.margin[row]}
    return pd.DataFrame({"ranking": ranking, "draw": draw, "k": ks, **columns})


def damage_curve(layer: Layer, orders: NDArray[np.int64], ks: Sequence[int], values: Tensor) -> Curve:
    """Delete the first k units of each order.

    Args:
        layer: where, and on which examples.
        orders: (order, neuron), each a permutation of the units.
        ks: ascending numbers of deleted units; 0 is the whole network.
        values: (position, neuron), what deleted units are set to.
    """
    together = max(1, LOGITS_AT_ONCE // layer.logits.numel())
    groups = torch.as_tensor(orders, device=values.device).split(together)
    curves = [_score(_logits_without(layer, group, ks, values), layer.labels) for group in groups]
    columns = ("accuracy", "loss", "margin")
    return Curve(*(np.concatenate([getattr(curve, column) for curve in curves]) for column in columns))


def damage_of_sets(layer: Layer, sets: Sequence[NDArray[np.int64]], values: Tensor) -> Curve:
    """Delete each of these sets of units by itself: a Curve (1, set), for sets that are not nested."""
    orders = (torch.as_tensor(units, device=values.device)[None] for units in sets)
    deleted = (_logits_without(layer, order, [order.shape[1]], values) for order in orders)
    return _score(itertools.chain.from_iterable(deleted), layer.labels)


def _logits_without(layer: Layer, orders: Tensor, ks: Sequence[int], values: Tensor) -> Iterator[Tensor]:
    """Logits (order, example, class) for each k, the cheapest exact way; each is to be read before the next."""
    way = _downdated if layer.model.is_linear_from(layer.index) else _recomputed
    return way(layer, orders, ks, values)


@torch.no_grad()
def _without(layer: Layer, units: Tensor, values: Tensor) -> Tensor:
    """Logits (example, class) with these units deleted, by running the rest of the network."""
    post = layer.post.clone()
    post[:, :, units] = values[:, units]
    return layer.model.answer_from_neurons(layer.resid_mid, post, layer.index)


def _recomputed(layer: Layer, orders: Tensor, ks: Sequence[int], values: Tensor) -> Iterator[Tensor]:
    """Logits (order, example, class) for each k, by running the rest of the network each time."""
    for k in ks:
        yield torch.stack([_without(layer, order[:k], values) for order in orders])


@torch.no_grad()
def _downdated(layer: Layer, orders: Tensor, ks: Sequence[int], values: Tensor) -> Iterator[Tensor]:
    """The same where the logits are linear in the layer: each k subtracts what the units since the last one wrote."""
    weights = layer.model.logit_weights(layer.index)  # (neuron, class)
    written = (layer.post[:, -1] - values[-1]).T.contiguous()  # (neuron, example)
    logits = layer.logits.repeat(len(orders), 1, 1)  # (order, example, class)
    done = 0
    for k in ks:
        if k > done:
            units = orders[:, done:k]  # (order, unit)
            logits.baddbmm_(written[units].transpose(1, 2), weights[units], alpha=-1.0)
            done = k
        yield logits


@torch.no_grad()
def _score(logits_per_k: Iterator[Tensor], labels: Tensor) -> Curve:
    accuracy, loss, margin = [], [], []
    for logits in logits_per_k:  # (order, example, class)
        margins = scores.margins(logits, labels)
        accuracy.append((margins > 0).double().mean(dim=-1))
        margin.append(margins.double().mean(dim=-1))
        loss.append(scores.loss(logits, labels).double())
    return Curve(*(torch.stack(column, dim=1).cpu().numpy() for column in (accuracy, loss, margin)))
