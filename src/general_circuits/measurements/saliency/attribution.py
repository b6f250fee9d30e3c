"""What every method returns, and what every method is told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from general_circuits.models.layer import Layer


@dataclass(frozen=True)
class Attribution:
    """One target attributed to one place's neurons.

    Attributes:
        saliency: (example, neuron), in units of the target.
        explained: (example), what its saliencies add up to if it is complete: by how much the target differs from
            that at the method's baseline.
        steps: of integration; 0 if there was none.
        standard_error: of each saliency, (example, neuron), where it was estimated from a sample.
    """

    saliency: Tensor
    explained: Tensor
    steps: int = 0
    standard_error: Tensor | None = None

    @property
    def completeness_error(self) -> float:
        """Mean |Σ saliency − explained| over mean |explained|."""
        return relative_error(self.saliency.double().sum(dim=1), self.explained.double())


@dataclass(frozen=True)
class Effort:
    """How much work a method may do.

    Attributes:
        integration_steps: of conductance, and those that integrated gradients begin with.
        most_integration_steps: integrated gradients double theirs up to so many,
        completeness_error: until this is reached.
        permutations: of Shapley values, where there are too many neurons to have them exactly.
    """

    integration_steps: int
    most_integration_steps: int
    completeness_error: float
    permutations: int


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Mean |found − expected| over mean |expected|; 0 where both are 0 throughout."""
    error, size = (found - expected).abs().mean(), expected.abs().mean()
    return 0.0 if error == 0 else float(error / size.clamp_min(torch.finfo(size.dtype).tiny))


def nothing(layer: Layer) -> Tensor:
    """The baseline of zero activation, (position, unit)."""
    return torch.zeros_like(layer.units[0])
