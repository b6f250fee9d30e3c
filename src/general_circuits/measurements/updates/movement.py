"""Movement of each neuron's weights between two checkpoints, divided exactly into updates and weight decay.

If the update rule does not see decay, one step turns weights θ into θ · (1 − rate · decay) + update. So n steps leave
θ · Π(1 − rate · decay) of the old weights, and add the sum of the updates. In that sum each update is shrunk by the
decay of the steps after it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from general_circuits.models.network import Network, Place
from general_circuits.training.settings import Optimiser

Weights = dict[str, Tensor]
"""Weights of neurons by the weight's name; one row per neuron, (neuron, its weights)."""


def weights_of(model: Network, place: Place) -> Weights:
    """Return copies of the weights into a layer's MLP neurons, of their biases, and of the weights out of them.

    Copies, since the network may be filled with the next checkpoint before they are compared.
    """
    weights = {name: (model.get_parameter(name), axis) for name, axis in model.neuron_weights(place).items()}
    # The axis with one entry per neuron comes first; a bias becomes a column: (neuron, its weights).
    rows = {name: weight.detach().movedim(axis, 0) for name, (weight, axis) in weights.items()}
    return {name: weight.reshape(len(weight), -1).clone() for name, weight in rows.items()}


def kept(settings: Optimiser, start: int, end: int) -> float:
    """Return the share of a decaying weight that decay leaves from step `start` to step `end`."""
    return math.prod(1.0 - settings.rate(step) * settings.weight_decay for step in range(start, end))


def norms(
    before: Weights, after: Weights, decayed: set[str], settings: Optimiser, start: int, end: int
) -> tuple[Tensor, Tensor]:
    """Return the norms of what updates added to each neuron's weights, and of what decay took, (neuron) each, float64.

    A neuron's norm is over all its weights together. Both norms are NaN if any of these weights decays and decay passes
    through the update rule, since they cannot be told apart then. Decay does so if it is coupled and the rule is Adam
    or has momentum, and in rules that search along a line.

    Args:
        before: the weights at step `start`.
        after: the same weights at step `end`.
        decayed: the names of the network's weights that decay.
        settings: the update rule with its learning rate and decay.
    """
    decaying = decayed & set(before) if settings.weight_decay else set()
    updates, decays = [], []
    for name, weight in before.items():
        old, new = weight.double(), after[name].double()
        # What is not left of the old weight, decay took; what the new weight has beyond the rest, updates added.
        left = kept(settings, start, end) if name in decaying else 1.0
        updates.append((new - left * old).square().sum(dim=1))
        decays.append(((1.0 - left) * old).square().sum(dim=1))
    update, decay = (torch.stack(parts).sum(dim=0).sqrt() for parts in (updates, decays))
    if decaying and not _is_apart(settings):
        return torch.full_like(update, torch.nan), torch.full_like(decay, torch.nan)
    return update, decay


def _is_apart(settings: Optimiser) -> bool:
    """Return whether a step shrinks weights by rate × decay and adds an update that does not depend on decay.

    Coupled decay in plain SGD does: there the decay term of the gradient shrinks the weights by the same share.
    """
    if settings.optimiser in ("line_search", "lbfgs"):
        return False
    return settings.decay == "decoupled" or (settings.optimiser == "sgd" and not settings.momentum)
