"""Changes to a gradient before the update rule reads it: Gaussian noise and Grokfast."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.seeds import stream_seed


class Noise:
    """Gaussian noise that is independent for every coordinate and step.

    The source is Neelakantan et al. 2015; their annealing is left out.

    Args:
        deviation: standard deviation of the noise, in the unit of the gradient.
        seed: seed of the replica. The noise is drawn on the CPU, so it is the same for every device.
    """

    def __init__(self, deviation: float, seed: int) -> None:
        self.deviation = deviation
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "noise"))

    def add(self, gradients: list[Tensor]) -> None:
        """Add a new draw to each gradient, in place."""
        for gradient in gradients:
            draw = torch.randn(gradient.shape, generator=self.generator, dtype=gradient.dtype)
            gradient.add_(draw.to(gradient.device), alpha=self.deviation)

    def tensors(self) -> dict[str, Tensor]:
        return {"noise": self.generator.get_state()}

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.generator.set_state(tensors["noise"])


class Grokfast:
    """Amplifier of slow gradient components (Grokfast, Lee et al. 2024, the EMA version).

    A gradient g becomes g + λ·h, where h is its running mean: h ← α·h + (1 − α)·g. As in the authors' code
    (ironjr/grokfast), h starts as the first gradient.

    Args:
        alpha: α, the share of the mean that a step keeps.
        amplification: λ.
        weights: weights by name.
    """

    def __init__(self, alpha: float, amplification: float, weights: Mapping[str, Tensor]) -> None:
        self.alpha, self.amplification = alpha, amplification
        self.means = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def amplify(self, gradients: list[Tensor], step: int) -> None:
        """Update the running means and add λ·h to each gradient, in place.

        Args:
            gradients: in the order of the weights.
            step: number of updates before this one; at 0 the mean is set to the gradient.
        """
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
