"""Shapley values (Shapley 1953): a neuron's mean contribution over all orders in which neurons can be deleted.

For few neurons they are exact. For more they are means over random orders, with standard errors (Castro, Gómez & Tejada
2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from general_circuits.measurements.saliency.attribution import Attribution, Effort, zero_baseline
from general_circuits.measurements.saliency.gradients import baseline_logits, explained
from general_circuits.measurements.saliency.targets import Target
from general_circuits.models.layer import Layer
from general_circuits.seeds import stream_seed

EXACT_UP_TO = 10
"""Largest number of neurons for exact values, which need every subset of the neurons: 1,024 subsets of ten."""


@torch.no_grad()
def shapley(layer: Layer, targets: Sequence[Target], effort: Effort, seed: int) -> list[Attribution]:
    """Return the Shapley value of every neuron on every example. Deleted neurons are set to zero.

    The values are complete, whether exact or sampled. The contributions along one order telescope to the target's whole
    change, and so does their mean over any set of orders. `seed` draws the orders.
    """
    at_baseline = baseline_logits(layer, zero_baseline(layer))
    changes = [explained(layer, target, at_baseline) for target in targets]
    if layer.n_neurons <= EXACT_UP_TO:
        exact = _exact(layer, targets)
        return [Attribution(saliency, change) for saliency, change in zip(exact, changes, strict=True)]
    sampled = _sampled(layer, targets, effort.permutations, seed)
    return [
        Attribution(saliency, change, standard_error=error)
        for (saliency, error), change in zip(sampled, changes, strict=True)
    ]


def _exact(layer: Layer, targets: Sequence[Target]) -> list[Tensor]:
    """Return (example, neuron) for each target, from the answers of every subset of neurons."""
    n, zero = layer.n_neurons, zero_baseline(layer)
    totals = [torch.zeros(len(layer.labels), n).to(layer.logits) for _ in targets]
    for subset in range(2**n):
        left = [neuron for neuron in range(n) if subset >> neuron & 1]
        gone = torch.tensor([neuron for neuron in range(n) if neuron not in left], device=zero.device, dtype=torch.long)
        logits = layer.answer(layer.without(gone, zero))
        # A Shapley value is the sum, over subsets S without the neuron, of w(|S|) · (target(S + neuron) − target(S)).
        # Its weight w(s) = 1 / (n · C(n − 1, s)) is the share of orders in which exactly S comes before the neuron.
        # So this subset counts with −w(|S|) for a neuron outside it, and with w(|S| − 1) for a neuron in it.
        joining = 1 / (n * math.comb(n - 1, len(left))) if len(left) < n else 0.0
        among = 1 / (n * math.comb(n - 1, len(left) - 1)) if left else 0.0
        weights = torch.tensor([among if neuron in left else -joining for neuron in range(n)], dtype=logits.dtype)
        weights = weights.to(logits.device)
        for target, total in zip(targets, totals, strict=True):
            total += target(logits, layer.labels).unsqueeze(1) * weights  # (example, 1) × (neuron)
    return totals


def _sampled(layer: Layer, targets: Sequence[Target], n: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return the mean over n random orders and its standard error, (example, neuron) each, for each target."""
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
    estimates = []
    for total, square in zip(sums, squares, strict=True):
        mean = total / n
        # Rounding can make the difference negative. The factor n / (n − 1) makes the variance unbiased.
        variance = (square / n - mean.square()).clamp_min(0) * n / max(1, n - 1)
        estimates.append((mean, (variance / n).sqrt() if n > 1 else torch.full_like(mean, float("nan"))))
    return estimates


def _deleted_in_turn(layer: Layer, order: Tensor) -> Iterator[Tensor]:
    """Yield the logits (example, class) after each further neuron of an order is deleted.

    Use each result before the next one: the same memory is overwritten.
    """
    if layer.is_linear:
        # A neuron's share of the logits is an outer product, unit (example) × weights (class). Subtracting it is exact
        # up to rounding, and replaces a run of the network.
        logits = layer.logits.clone()
        for neuron in order:
            yield logits.addr_(layer.units[:, 0, neuron], layer.weights[neuron], alpha=-1.0)
    else:
        units = layer.units.clone()
        for neuron in order:
            units[:, :, layer.units_of(neuron.unsqueeze(0))] = 0.0
            yield layer.answer(units)
