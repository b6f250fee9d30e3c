"""Update rules: torch's, by their functional forms. The classes around these import its compiler, 1.4 s in each job."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from general_circuits.conditions import Optimiser


class Updater:
    """What turns gradients into updates, with what it remembers of them.

    Args:
        settings: the rule.
        weights: by name; updated in place.
    """

    def __init__(self, settings: Optimiser, weights: Mapping[str, nn.Parameter]) -> None:
        self.settings, self.weights = settings, dict(weights)
        self.is_adam = settings.optimiser != "sgd"
        n_moments = 2 if self.is_adam else int(settings.momentum > 0)
        self.moments = [[torch.zeros_like(weight) for weight in self.weights.values()] for _ in range(n_moments)]
        self.counts = [torch.zeros((), device=weight.device) for weight in self.weights.values()]
        self.is_fused = settings.arithmetic == "reduced"

    @torch.no_grad()
    def step(self, step: int) -> float:
        """Update `step` (from 0) by the weights' gradients, at the scheduled rate, which is returned."""
        settings = self.settings
        weights: list[Tensor] = list(self.weights.values())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        rate = learning_rate(settings, step)
        if self.is_adam:
            averages, squares = self.moments
            adam(
                weights,
                gradients,
                averages,
                squares,
                [],
                self.counts,
                foreach=False,
                fused=self.is_fused,
                decoupled_weight_decay=settings.decay == "decoupled",
                amsgrad=False,
                beta1=settings.beta1,
                beta2=settings.beta2,
                lr=rate,
                weight_decay=settings.weight_decay,
                eps=settings.epsilon,
                maximize=False,
            )
            return rate
        if settings.decay == "decoupled":  # which torch's SGD does not have
            torch._foreach_mul_(weights, 1.0 - rate * settings.weight_decay)
        buffers: list[Tensor | None] = [*self.moments[0]] if self.moments else [None] * len(weights)
        sgd(
            weights,
            gradients,
            buffers,
            foreach=False,
            fused=self.is_fused,
            weight_decay=settings.weight_decay if settings.decay == "coupled" else 0.0,
            momentum=settings.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        return rate

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered, by name."""
        return {
            f"moment {i} of {name}": moment
            for i, moments in enumerate(self.moments)
            for name, moment in zip(self.weights, moments, strict=True)
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take what `tensors` gave after so many steps."""
        for name, moment in self.tensors().items():
            moment.copy_(tensors[name])
        for count in self.counts:
            count.fill_(step)


def learning_rate(settings: Optimiser, step: int) -> float:
    """The rate of update `step` (from 0): a linear warm-up, then constant."""
    return settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warm_up))
