"""Shapley values (Shapley 1953): a neuron's mean contribution over all orders in which neurons can be deleted.

Exact for few neurons; else the mean over some random orders, with its standard error (Castro, Gómez & Tejada 2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from general_circuits.measurements.saliency.attribution import Attribution, Effort, nothing
from general_circuits.measurements.saliency.gradients import explained, silent_logits
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer
from general_circuits.seeds import stream_seed

EXACT_UP_TO = 10
"""Neurons: every subset of them is deleted, 1,024 of ten."""


@torch.no_grad()
def shapley(layer: Layer, targets: Sequence[Target], effort: Effort, seed: int) -> list[Attribution]:
    """Of every neuron on every example, deleted neurons set to zero. Complete, sampled or not; `seed` draws orders."""
    silent = silent_logits(layer, nothing(layer))
    changes = [explained(layer, target, silent) for target in targets]
    if layer.n_neurons <= EXACT_UP_TO:
        exact = _exact(layer, targets)
        return [Attribution(saliency, change) for saliency, change in zip(exact, changes, strict=True)]
    found = _sampled(layer, targets, effort.permutations, seed)
    return [
        Attribution(saliency, change, standard_error=error)
        for (saliency, error), change in zip(found, changes, strict=True)
    ]


def _exact(layer: Layer, targets: Sequence[Target]) -> list[Tensor]:
    """(example, neuron) for each target, from every subset of neurons that is left."""
    n, zero = layer.n_neurons, nothing(layer)
    found = [torch.zeros(len(layer.labels), n).to(layer.logits) for _ in targets]
    for subset in range(2**n):
        left = [neuron for neuron in range(n) if subset >> neuron & 1]
        gone = torch.tensor([neuron for neuron in range(n) if neuron not in left], device=zero.device, dtype=torch.long)
        logits = layer.answer(layer.without(gone, zero))
        # Of the orders in which one neuron comes right after those left, or is the last of them.
        joining = 1 / (n * math.comb(n - 1, len(left))) if len(left) < n else 0.0
        among = 1 / (n * math.comb(n - 1, len(left) - 1)) if left else 0.0
        weights = torch.tensor([among if neuron in left else -joining for neuron in range(n)], dtype=logits.dtype)
        weights = weights.to(logits.device)
        for target, saliency in zip(targets, found, strict=True):
            saliency += target(logits, layer.labels).unsqueeze(1) * weights
    return found


def _sampled(layer: Layer, targets: Sequence[Target], n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Mean over n permutations and its standard error, (example, neuron) each, for each target."""
    generator = np.random.default_rng(stream_seed(seed, "shapley"))
    shape = len(layer.labels), layer.n_neurons
    sums, squares = ([torch.zeros(shape).to(layer.logits) for _ in targets] for _ in range(2))
    for _ in range(n):
        order = torch.as_tensor(generator.permutation(layer.n_neurons), device=layer.labels.device)
        before = [target(layer.logits, layer.labels) for target in targets]
        for neuron, logits in zip(order, _deleted_in_turn(layer, order), strict=True):
            for i, target in enumerate(targets):
                value = target(logits, layer.labels)
                contribution = before[i] - value
                sums[i][:, neuron] += contribution
                squares[i][:, neuron] += contribution.square()
                before[i] = value
    found = []
    for total, square in zip(sums, squares, strict=True):
        mean = total / n
        variance = (square / n - mean.square()).clamp_min(0) * n / max(1, n - 1)
        found.append((mean, (variance / n).sqrt() if n > 1 else torch.full_like(mean, float("nan"))))
    return found


def _deleted_in_turn(layer: Layer, order: Tensor) -> Iterator[Tensor]:
    """Logits (example, class) with one more neuron of an order deleted each time; read each before the next."""
    if layer.is_linear:
        logits = layer.logits.clone()
        for neuron in order:
            yield logits.addr_(layer.units[:, 0, neuron], layer.weights[neuron], alpha=-1.0)
    else:
        units = layer.units.clone()
        for neuron in order:
            units[:, :, layer.units_of(neuron.unsqueeze(0))] = 0.0
            yield layer.answer(units)
