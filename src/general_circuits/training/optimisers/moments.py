"""Running means of gradients, which Adam and SGD with momentum keep between steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.training.optimisers.decay import DecayGroup


class Moments:
    """Running means of every weight's gradient, which start at zero.

    Args:
        parts: groups of weights.
        how_many: running means per weight: 2 for Adam (of g and of g²), 1 for momentum, 0 for plain SGD.

    Attributes:
        of_group: tensors by group, then by moment, then by weight; each has its weight's shape.
    """

    def __init__(self, parts: list[DecayGroup], how_many: int) -> None:
        self.parts = parts
        self.of_group = [
            [[torch.zeros_like(weight) for weight in part.tensors] for _ in range(how_many)] for part in parts
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Return all running means by name, in their own memory."""
        return {
            f"moment {i} of {name}": moment
            for part, moments in zip(self.parts, self.of_group, strict=True)
            for i, of_weights in enumerate(moments)
            for name, moment in zip(part.weights, of_weights, strict=True)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy tensors that `tensors` returned earlier into the running means."""
        for name, moment in self.tensors().items():
            moment.copy_(tensors[name])
