"""Update rules for stacked networks: one weight decay each. A step comes in two parts, by the gradient and by decay.

As torch's SGD, Adam and AdamW: decay is coupled (λ·w joins the gradient) but for AdamW (rate·λ·w is taken off). Both
parts go through the same running means, which are linear, so that they add up to the step; what Adam divides by is of
both together.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.98, 1e-8

Part = list[Tensor] | tuple[Tensor, ...]


class Stepper:
    """Turns gradients into steps.

    Args:
        rule: which.
        learning_rate: of all.
        weight_decay: (network).
        weights: (network, …) each.
    """

    def __init__(
        self,
        rule: Literal["sgd", "momentum", "adam", "adamw"],
        learning_rate: float,
        weight_decay: Tensor,
        weights: Part,
    ) -> None:
        self.rule, self.rate, self.count = rule, learning_rate, 0
        self.decay = [weight_decay.to(weight.device).reshape(-1, *[1] * (weight.dim() - 1)) for weight in weights]
        is_adam = rule in ("adam", "adamw")
        # Of what the gradient does and, where decay is coupled, of what decay does.
        pulls = {"sgd": 0, "momentum": 2, "adam": 2, "adamw": 1}[rule]
        self.means: list[Part] = [[torch.zeros_like(w) for w in weights] for _ in range(pulls)]
        self.squares = [torch.zeros_like(w) for w in weights] if is_adam else []

    def step(self, weights: Part, gradients: Part) -> tuple[Part, Part]:
        """What to add to each weight: what its gradient does, and what decay does."""
        self.count += 1
        decays = [decay * weight for decay, weight in zip(self.decay, weights, strict=True)]
        pulls: list[Part] = [gradients] if self.rule == "adamw" else [gradients, decays]
        if self.rule == "momentum":
            for means, pull in zip(self.means, pulls, strict=True):
                torch._foreach_mul_(means, MOMENTUM)
                torch._foreach_add_(means, pull)
            pulls = self.means
        elif self.squares:
            sizes = self._sizes(pulls)
            for means, pull in zip(self.means, pulls, strict=True):
                torch._foreach_lerp_(means, pull, 1 - BETA1)
            pulls = [torch._foreach_div(means, sizes) for means in self.means]
        by_gradient, *by_decay = (torch._foreach_mul(pull, -self.rate) for pull in pulls)
        return by_gradient, by_decay[0] if by_decay else torch._foreach_mul(decays, -self.rate)

    def _sizes(self, pulls: list[Part]) -> Part:
        """What Adam divides its running means by: root mean squares, both corrected for having started at zero."""
        whole = pulls[0] if len(pulls) == 1 else torch._foreach_add(pulls[0], pulls[1])
        torch._foreach_mul_(self.squares, BETA2)
        torch._foreach_addcmul_(self.squares, whole, whole, 1 - BETA2)
        start, bias = 1 - BETA1**self.count, 1 - BETA2**self.count
        sizes = torch._foreach_sqrt(torch._foreach_div(self.squares, bias))
        torch._foreach_add_(sizes, EPSILON)
        return torch._foreach_mul(sizes, start)
