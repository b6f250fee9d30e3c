"""Result type and settings that every saliency method shares."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from general_circuits.models.layer import Layer


@dataclass(frozen=True)
class Attribution:
    """Attribution of one target to the neurons of one place.

    Attributes:
        saliency: (example, neuron), in units of the target.
        explained: the target minus its value at the method's baseline, (example). The saliencies of an example add up
            to it if the attribution is complete.
        steps: number of integration steps, 0 for a method without integration.
        standard_error: standard error of each saliency, (example, neuron), where it was estimated from a sample.
    """

    saliency: Tensor
    explained: Tensor
    steps: int = 0
    standard_error: Tensor | None = None

    @property
    def completeness_error(self) -> float:
        """Mean |Σ saliency − explained| divided by mean |explained|."""
        return relative_error(self.saliency.double().sum(dim=1), self.explained.double())


@dataclass(frozen=True)
class Effort:
    """Limits on the work of the methods.

    Attributes:
        integration_steps: steps of conductance, and first number of steps of integrated gradients.
        most_integration_steps: largest number of steps of integrated gradients.
        completeness_error: integrated gradients double their steps until their error is at most this.
        permutations: random orders per Shapley value, where there are too many neurons for exact values.
    """

    integration_steps: int
    most_integration_steps: int
    completeness_error: float
    permutations: int


def relative_error(estimate: Tensor, expected: Tensor) -> float:
    """Return mean |estimate − expected| divided by mean |expected|. It is 0 where the two are equal everywhere."""
    error, size = (estimate - expected).abs().mean(), expected.abs().mean()
    return 0.0 if error == 0 else float(error / size.clamp_min(torch.finfo(size.dtype).tiny))


def zero_baseline(layer: Layer) -> Tensor:
    """Return the baseline of zero activation, (position, unit)."""
    return torch.zeros_like(layer.units[0])
