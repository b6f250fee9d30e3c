"""Which weights decay, and a loss together with the coupled decay of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from general_circuits.training.settings import Optimiser

Objective = Callable[[bool], Tensor]
"""The loss () at the weights as they are, of the examples of this step; asked with True, it sets their `.grad` too."""


@dataclass
class DecayGroup:
    """Weights that decay alike.

    Attributes:
        weights: by name.
        is_named: whether `decay_on` names them.
        decay: `weight_decay`, or 0.
    """

    weights: dict[str, nn.Parameter]
    is_named: bool
    decay: float

    @property
    def tensors(self) -> list[Tensor]:
        return list(self.weights.values())

    @property
    def gradients(self) -> list[Tensor]:
        return [weight.grad for weight in self.weights.values() if weight.grad is not None]


def decay_groups(settings: Optimiser, weights: Mapping[str, nn.Parameter]) -> list[DecayGroup]:
    """The weights, by name, that decay and those that do not, without an empty one.

    Raises:
        ValueError: where a pattern of `decay_on` matches no weight.
    """
    decayed = settings.decays(weights)
    parts = [
        DecayGroup({name: weight for name, weight in weights.items() if name in decayed}, True, settings.weight_decay),
        DecayGroup({name: weight for name, weight in weights.items() if name not in decayed}, False, 0.0),
    ]
    return [part for part in parts if part.weights]


def add_to_gradients(parts: list[DecayGroup]) -> None:
    """Coupled decay: to each `.grad`, decay × weight; that of ½ · decay · ‖weight‖²."""
    for part in parts:
        if part.decay:
            torch._foreach_add_(part.gradients, part.tensors, alpha=part.decay)


def penalty(parts: list[DecayGroup]) -> float:
    """½ · decay · ‖weight‖², summed over all weights in float64."""
    return sum(
        0.5 * part.decay * weight.double().square().sum().item()
        for part in parts
        if part.decay
        for weight in part.tensors
    )
