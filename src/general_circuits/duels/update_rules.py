"""Update rules for stacked networks with a weight decay each. A step comes in two parts: by the gradient and by decay.

The rules are torch's SGD, Adam and AdamW. AdamW takes rate·λ·w off the weights. In all others decay is coupled: λ·w
joins the gradient. A running mean is linear in what it averages. So the gradient and decay can each have one, and the
two parts add up to the coupled step. Adam's divisor is not linear: it is computed once, from their sum.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.98, 1e-8

Part = list[Tensor] | tuple[Tensor, ...]


class Stepper:
    """State of an update rule, which turns gradients into steps.

    Args:
        rule: the rule's name.
        learning_rate: one for all networks.
        weight_decay: λ, (network).
        weights: tensors (network, …) to be updated.
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
        # Running means: of the gradient, and of decay where it is coupled. AdamW's decay has none.
        pulls = {"sgd": 0, "momentum": 2, "adam": 2, "adamw": 1}[rule]
        self.means: list[Part] = [[torch.zeros_like(w) for w in weights] for _ in range(pulls)]
        self.squares = [torch.zeros_like(w) for w in weights] if is_adam else []

    def step(self, weights: Part, gradients: Part) -> tuple[Part, Part]:
        """Return what to add to each weight, by its gradient and by decay; weights are left as they are."""
        self.count += 1
        decays = [decay * weight for decay, weight in zip(self.decay, weights, strict=True)]
        pulls: list[Part] = [gradients] if self.rule == "adamw" else [gradients, decays]
        if self.rule == "momentum":
            for means, pull in zip(self.means, pulls, strict=True):
                torch._foreach_mul_(means, MOMENTUM)
                torch._foreach_add_(means, pull)
            pulls = self.means
        elif self.squares:
            # torch divides the mean by 1 − β₁ᵗ and then by √(v / (1 − β₂ᵗ)) + ε: `sizes` is the product of both.
            sizes = self._sizes(pulls)
            for means, pull in zip(self.means, pulls, strict=True):
                torch._foreach_lerp_(means, pull, 1 - BETA1)
            pulls = [torch._foreach_div(means, sizes) for means in self.means]
        by_gradient, *by_decay = (torch._foreach_mul(pull, -self.rate) for pull in pulls)
        return by_gradient, by_decay[0] if by_decay else torch._foreach_mul(decays, -self.rate)

    def alone(self, gradients: Part) -> Part:
        """Return all that the last step's gradients add to each weight, then and through momentum in later steps.

        The step itself also has what earlier gradients carried into it. Adam's present root mean squares divide, as if
        they stayed. Without momentum this is the step by the gradient.
        """
        if self.rule == "momentum":
            # A gradient stays in the sum with weights 1, 0.9, 0.81, …
            return torch._foreach_mul(gradients, -self.rate / (1 - MOMENTUM))
        if self.squares:
            return torch._foreach_mul(torch._foreach_div(gradients, self._roots()), -self.rate)
        return torch._foreach_mul(gradients, -self.rate)

    def _sizes(self, pulls: list[Part]) -> Part:
        """Return Adam's divisors: root mean squares, times the corrections for means that start at zero."""
        total = pulls[0] if len(pulls) == 1 else torch._foreach_add(pulls[0], pulls[1])
        torch._foreach_mul_(self.squares, BETA2)
        torch._foreach_addcmul_(self.squares, total, total, 1 - BETA2)
        return torch._foreach_mul(self._roots(), 1 - BETA1**self.count)

    def _roots(self) -> Part:
        """Return root mean squares of the gradients so far, corrected for a mean that starts at zero."""
        roots = torch._foreach_sqrt(torch._foreach_div(self.squares, 1 - BETA2**self.count))
        torch._foreach_add_(roots, EPSILON)
        return roots
