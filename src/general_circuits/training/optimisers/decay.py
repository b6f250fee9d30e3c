"""Groups of weights that decay alike, and coupled decay as a part of loss and gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from general_circuits.training.settings import Optimiser

Objective = Callable[[bool], Tensor]
"""Function that returns this step's loss, a scalar tensor, at the current weights.

Its argument says whether it also sets every weight's `.grad`.
"""


@dataclass
class DecayGroup:
    """Weights that decay alike.

    Attributes:
        weights: parameters by name.
        is_named: whether `decay_on` names these weights.
        decay: `weight_decay` for named weights, 0 for others.
    """

    weights: dict[str, nn.Parameter]
    is_named: bool
    decay: float

    @property
    def tensors(self) -> list[Tensor]:
        """Weights in their order."""
        return list(self.weights.values())

    @property
    def gradients(self) -> list[Tensor]:
        """Gradients in the order of the weights."""
        return [weight.grad for weight in self.weights.values() if weight.grad is not None]


def decay_groups(settings: Optimiser, weights: Mapping[str, nn.Parameter]) -> list[DecayGroup]:
    """Split weights, given by name, into a group that decays and a group that does not; leave out an empty group.

    Raises:
        ValueError: if a pattern of `decay_on` matches no weight.
    """
    decayed = settings.decays(weights)
    parts = [
        DecayGroup({name: weight for name, weight in weights.items() if name in decayed}, True, settings.weight_decay),
        DecayGroup({name: weight for name, weight in weights.items() if name not in decayed}, False, 0.0),
    ]
    return [part for part in parts if part.weights]


def add_to_gradients(parts: list[DecayGroup]) -> None:
    """Add decay × weight to each `.grad`, in place: the gradient of `penalty`."""
    for part in parts:
        if part.decay:
            torch._foreach_add_(part.gradients, part.tensors, alpha=part.decay)


def penalty(parts: list[DecayGroup]) -> float:
    """Return ½ · decay · ‖weight‖², summed over all weights in float64."""
    return sum(
        0.5 * part.decay * weight.double().square().sum().item()
        for part in parts
        if part.decay
        for weight in part.tensors
    )
