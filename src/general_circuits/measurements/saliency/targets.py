"""What saliency explains: one number of each answer, as a function of its logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from general_circuits.models import predictions


@dataclass(frozen=True)
class Target:
    """One number of each answer.

    Attributes:
        name: as the config has it.
        of_logits: logits (…, example, class), labels (example) → (…, example).
        is_linear: in the logits.
        is_homogeneous: whether logits times c give this times c.
        scale: logits are divided by it first.
    """

    name: str
    of_logits: Callable[[Tensor, Tensor], Tensor]
    is_linear: bool
    is_homogeneous: bool
    scale: float = 1.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.of_logits(logits / self.scale if self.scale != 1 else logits, labels)

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of the target in the logits, (example, class)."""
        with torch.enable_grad():
            at = logits.detach().requires_grad_()
            (found,) = torch.autograd.grad(self(at, labels).sum(), at)
        return found

    def at_scale(self, scale: float) -> Target:
        """The same of logits divided by `scale`."""
        return replace(self, scale=scale)


def log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the label, in nats. Where the network is sure its gradient vanishes: see `saturated`."""
    return -predictions.surprise(logits, labels)


TARGETS = {
    target.name: target
    for target in (
        Target("right_minus_mean", predictions.right_minus_mean, is_linear=True, is_homogeneous=True),
        Target("right_logit", predictions.right_logit, is_linear=True, is_homogeneous=True),
        Target("margin", predictions.margins, is_linear=False, is_homogeneous=True),
        Target("log_probability", log_probability, is_linear=False, is_homogeneous=False),
    )
}

SATURATED_ABOVE = 0.99
"""Probability of the label from which its log-probability hardly depends on the logits any more."""


def saturated(target: Target, logits: Tensor, labels: Tensor) -> float:
    """Share of the examples on which the log-probability is saturated; NaN for every other target."""
    if target.name != "log_probability":
        return float("nan")
    sure = predictions.correct_probability(logits / target.scale, labels) > SATURATED_ABOVE
    return float(sure.double().mean())
