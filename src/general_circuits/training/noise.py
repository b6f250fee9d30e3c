"""Noise that moves a branch's weights in place of a gradient: minibatches' noise, and a walk as long as a decay's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn


class Walk:
    """Random walk of weights that ends as far from its start as weight decay would.

    Noise adds up as a random walk: n independent steps of one size end √n steps from the start, in expectation. A decay
    of the same step size goes straight, and ends n steps away. So equal steps are no fair comparison. Here all draws so
    far are added up. After t of n steps their sum is stretched to √(t / n) of the distance. So the last step ends at
    this distance exactly, in every replica. A stretch keeps the direction of the sum.

    Args:
        groups: weights by name, at the start. The weights of a group are stretched together.
        share: distance after the last step, as a share of the norm of the group's weights.
        steps: number of steps.
    """

    def __init__(self, groups: Sequence[Mapping[str, Tensor]], share: float, steps: int) -> None:
        self.steps, self.made = steps, 0
        self.distances = [share * _norm(group.values()) for group in groups]
        self.sums = [{name: torch.zeros_like(weight) for name, weight in group.items()} for group in groups]

    def step(self, draws: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add a draw of each weight, by name, and return how far each weight moves."""
        before = self._displacements()
        self.made += 1
        for group in self.sums:
            for name, total in group.items():
                total.add_(draws[name])
        return {name: after - before[name] for name, after in self._displacements().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return what a training state has to hold, by name."""
        sums = {f"walk of {name}": total for group in self.sums for name, total in group.items()}
        return {"steps walked": torch.tensor(self.made), **sums}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned, in a walk with the same start."""
        self.made = int(tensors["steps walked"])
        for group in self.sums:
            for name, total in group.items():
                total.copy_(tensors[f"walk of {name}"])

    def _displacements(self) -> dict[str, Tensor]:
        """Return how far each weight is from its start, by name."""
        moved: dict[str, Tensor] = {}
        for group, distance in zip(self.sums, self.distances, strict=True):
            length = _norm(group.values())
            stretch = distance * math.sqrt(self.made / self.steps) / length if length > 0 else 0.0
            moved |= {name: total * stretch for name, total in group.items()}
        return moved


def decayed_share(rates: Sequence[float], decay: float) -> float:
    """Return the share of their norm that weights lose to decoupled decay in updates with these learning rates."""
    return 1.0 - math.prod(1.0 - rate * decay for rate in rates)


def epoch_of_batches(n_examples: int, batch: int, generator: torch.Generator) -> Tensor:
    """Draw an order of the examples, and cut it into whole batches, (batch, example of the batch)."""
    n = n_examples // batch
    return torch.randperm(n_examples, generator=generator)[: n * batch].reshape(n, batch)


def of_first_batch(
    batches: Tensor, gradients_of: Callable[[Tensor], None], weights: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Return the noise of the first batch of an epoch: its gradient less the mean gradient of all batches, by name.

    The unit is the root mean square of the noise's norm over all batches. It does not depend on which batch is the
    first. So the noise of all batches, each first in turn, sums to 0 exactly. Divided by its own norm, noise would have
    a mean other than 0, because few examples have large gradients.

    Args:
        batches: at least two batches of training examples, (batch, example of the batch).
        gradients_of: function that sets every weight's `.grad` to the mean gradient of these examples.
        weights: weights by name, all of which have gradients.
    """
    first: dict[str, Tensor] = {}
    mean = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    square = 0.0  # mean over batches of the gradient's squared norm
    for batch in batches:
        gradients_of(batch)
        gradients = {name: _gradient(weight) for name, weight in weights.items()}
        first = first or {name: gradient.clone() for name, gradient in gradients.items()}
        for name, gradient in gradients.items():
            mean[name].add_(gradient, alpha=1 / len(batches))
        square += _norm(gradients.values()) ** 2 / len(batches)
    unit = math.sqrt(max(0.0, square - _norm(mean.values()) ** 2))
    # Without noise, all gradients are equal, and their difference is 0 in any unit.
    return {name: (first[name] - mean[name]).to(first[name]) / (unit or 1.0) for name in weights}


def _gradient(weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def _norm(tensors: Iterable[Tensor]) -> float:
    """Return the Euclidean norm of all numbers of the tensors together, in double precision."""
    return math.hypot(*(float(tensor.detach().double().norm()) for tensor in tensors))
