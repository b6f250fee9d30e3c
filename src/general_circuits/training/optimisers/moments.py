"""Running means of gradients, which Adam and momentum keep between steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.training.optimisers.decay import DecayGroup


class Moments:
    """Running means of what every weight's gradient was, starting at zero.

    Attributes:
        of_group: for each group, for each moment, one tensor per weight.
    """

    def __init__(self, parts: list[DecayGroup], how_many: int) -> None:
        self.parts = parts
        self.of_group = [
            [[torch.zeros_like(weight) for weight in part.tensors] for _ in range(how_many)] for part in parts
        ]

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"moment {i} of {name}": moment
            for part, moments in zip(self.parts, self.of_group, strict=True)
            for i, of_weights in enumerate(moments)
            for name, moment in zip(part.weights, of_weights, strict=True)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, moment in self.tensors().items():
            moment.copy_(tensors[name])
