"""What happens to a gradient before the rule sees it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.seeds import stream_seed


class Noise:
    """Gaussian noise, independent for every coordinate and step (Neelakantan et al. 2015, without their annealing).

    Args:
        deviation: its standard deviation, in the gradient's own unit.
        seed: the replica's. Its stream is drawn on the CPU, so that it is equal on every device.
    """

    def __init__(self, deviation: float, seed: int) -> None:
        self.deviation = deviation
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "noise"))

    def add(self, gradients: list[Tensor]) -> None:
        """Add a fresh draw to each, in place."""
        for gradient in gradients:
            draw = torch.randn(gradient.shape, generator=self.generator, dtype=gradient.dtype)
            gradient.add_(draw.to(gradient.device), alpha=self.deviation)

    def tensors(self) -> dict[str, Tensor]:
        return {"noise": self.generator.get_state()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.generator.set_state(tensors["noise"])


class Grokfast:
    """Slow parts of the gradient, amplified: g + λ·h, h a running mean of g (Lee et al. 2024, algorithm of the EMA).

    Args:
        alpha: how much of the mean stays at a step.
        amplification: λ.
        weights: by name.

    h ← α·h + (1 − α)·g, and h starts as the first gradient, as in the authors' code (ironjr/grokfast).
    """

    def __init__(self, alpha: float, amplification: float, weights: Mapping[str, Tensor]) -> None:
        self.alpha, self.amplification = alpha, amplification
        self.means = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def amplify(self, gradients: list[Tensor], step: int) -> None:
        """Add λ·h to each, in place. At step 0 nothing is remembered yet."""
        for mean, gradient in zip(self.means.values(), gradients, strict=True):
            if step == 0:
                mean.copy_(gradient)
            else:
                mean.mul_(self.alpha).add_(gradient, alpha=1.0 - self.alpha)
            gradient.add_(mean, alpha=self.amplification)

    def tensors(self) -> dict[str, Tensor]:
        return {f"mean gradient of {name}": mean for name, mean in self.means.items()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        for name, mean in self.tensors().items():
            mean.copy_(tensors[name])
