"""Targets of saliency: numbers computed from the logits of each answer, which saliency explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from general_circuits.models import predictions


@dataclass(frozen=True)
class Target:
    """Number computed from the logits of each answer.

    Attributes:
        name: name in the config.
        of_logits: function of logits (…, example, class) and labels (example) that returns (…, example).
        is_linear: whether it is linear in the logits.
        is_homogeneous: whether logits multiplied by c > 0 multiply it by c.
        scale: number that divides the logits first.
    """

    name: str
    of_logits: Callable[[Tensor, Tensor], Tensor]
    is_linear: bool
    is_homogeneous: bool
    scale: float = 1.0

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.of_logits(logits / self.scale if self.scale != 1 else logits, labels)

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the target's gradient in the logits, (example, class)."""
        with torch.enable_grad():
            at = logits.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self(at, labels).sum(), at)  # examples do not interact
        return gradient

    def at_scale(self, scale: float) -> Target:
        """Return the same target of logits divided by `scale`."""
        return replace(self, scale=scale)


def log_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the label's log-probability in nats. Where the network is sure, its gradient vanishes (`saturated`)."""
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
"""Probability of the label above which its log-probability hardly depends on the logits any more."""


def saturated(target: Target, logits: Tensor, labels: Tensor) -> float:
    """Return the share of examples on which the log-probability is saturated, NaN for every other target."""
    if target.name != "log_probability":
        return float("nan")
    sure = predictions.correct_probability(logits / target.scale, labels) > SATURATED_ABOVE
    return float(sure.double().mean())
