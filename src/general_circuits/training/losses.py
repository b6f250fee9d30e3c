"""What training makes small: losses of logits (…, example, class) and labels (example), by the name a config gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from general_circuits.models import predictions


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes:
        of_each: logits (…, example, class), labels (example) → (…, example).
        gradient: logits (example, class), labels (example) → that of the examples' sum in the logits (example, class).
    """

    of_each: Callable[[Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Over examples: logits (…, example, class), labels (example) → (…)."""
        return self.of_each(logits, labels).mean(dim=-1)


def mean_squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each example, the mean over classes of (logit − 1 for the label, 0 for others)², as torch's `MSELoss`."""
    return (logits - one_hot(labels, logits.shape[-1])).square().mean(dim=-1)


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each example, max(0, 1 − margin) (Crammer and Singer 2001).

    With two logits ±f/2 this is the binary hinge, max(0, 1 − f·y), of Merrill et al. 2023.
    """
    return torch.relu(1.0 - predictions.margins(logits, labels))


def stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each example, −log(s(right logit) / Σ s(logit)), nats (Prieto et al. 2025).

    "Grokking at the Edge of Numerical Stability": softmax with s in the place of exp,
    s(x) = x + 1 from 0 upwards, 1 / (1 − x) below.
    """
    # The clamp keeps 1 / (1 − 1) out of the branch that is not taken, and its gradient NaN out of the other.
    s = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return -torch.log(predictions.right_logit(s, labels) / s.sum(dim=-1))


def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax minus one-hot."""
    gradient = torch.softmax(logits, dim=1)
    return gradient.scatter_add_(1, labels.unsqueeze(1), gradient.new_full((len(labels), 1), -1.0))


def _by_autograd(of_each: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    def gradient(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            return torch.autograd.grad(of_each(leaf, labels).sum(), leaf)[0]

    return Loss(of_each, gradient)


LOSSES = {
    "cross_entropy": Loss(predictions.surprise, cross_entropy_gradient),
    "mean_squared_error": _by_autograd(mean_squared_error),
    "hinge": _by_autograd(hinge),
    "stablemax": _by_autograd(stablemax),
}
