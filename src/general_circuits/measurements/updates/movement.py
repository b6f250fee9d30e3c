"""What updates made of each neuron's weights between two checkpoints, and what decay did, told apart exactly.

Where decay is no part of what the update rule sees, a step makes of weights θ: θ · (1 − rate · decay) + update. After n
steps that is θ · Π(1 − rate · decay) and the sum of the updates, each shrunk by the decay of the steps after its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from general_circuits.models.network import Network, Place
from general_circuits.training.settings import Optimiser

Weights = dict[str, Tensor]
"""By name, one row for each neuron, (neuron, how many it has)."""


def weights_of(model: Network, place: Place) -> Weights:
    """Copies of the weights into an MLP's neurons, of their biases and of those out of them."""
    weights = {name: (model.get_parameter(name), axis) for name, axis in model.neuron_weights(place).items()}
    rows = {name: weight.detach().movedim(axis, 0) for name, (weight, axis) in weights.items()}
    return {name: weight.reshape(len(weight), -1).clone() for name, weight in rows.items()}


def kept(settings: Optimiser, start: int, end: int) -> float:
    """The share of a decaying weight that decay leaves of it from step `start` to step `end`."""
    return math.prod(1.0 - settings.rate(step) * settings.weight_decay for step in range(start, end))


def norms(
    before: Weights, after: Weights, decayed: set[str], settings: Optimiser, start: int, end: int
) -> tuple[Tensor, Tensor]:
    """Norms of what updates, and of what decay, added to each neuron's weights together, (neuron) each, float64.

    Both are NaN where decay passes through the update rule (coupled decay with momentum or in Adam, and rules that
    search along a line) and any of these weights decays: then they cannot be told apart.

    Args:
        before: the weights at step `start`.
        after: the same ones at step `end`.
        decayed: the names of the network's weights that decay.
        settings: how steps are taken.
    """
    own_decay = decayed & set(before) if settings.weight_decay else set()
    updates, decays = [], []
    for name, weight in before.items():
        old, new = weight.double(), after[name].double()
        left = kept(settings, start, end) if name in own_decay else 1.0
        updates.append((new - left * old).square().sum(dim=1))
        decays.append(((1.0 - left) * old).square().sum(dim=1))
    update, decay = (torch.stack(parts).sum(dim=0).sqrt() for parts in (updates, decays))
    if own_decay and not _is_apart(settings):
        return torch.full_like(update, torch.nan), torch.full_like(decay, torch.nan)
    return update, decay


def _is_apart(settings: Optimiser) -> bool:
    """Whether a step shrinks weights by rate × decay and adds an update that does not depend on decay."""
    if settings.optimiser in ("line_search", "lbfgs"):
        return False
    return settings.decay == "decoupled" or (settings.optimiser == "sgd" and not settings.momentum)
