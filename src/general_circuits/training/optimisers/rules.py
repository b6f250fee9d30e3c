"""Adam and SGD: torch's, by their functional forms. The classes around these import its compiler, 1.4 s in each job."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from general_circuits.records import Optimiser
from general_circuits.training.optimisers.decay import Group, Objective


class Moments:
    """Running means of what every weight's gradient was, starting at zero.

    Attributes:
        of_group: for each group, for each moment, one tensor per weight.
    """

    def __init__(self, parts: list[Group], how_many: int) -> None:
        self.parts = parts
        self.of_group = [
            [[torch.zeros_like(weight) for weight in part.tensors] for _ in range(how_many)] for part in parts
        ]

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"moment {i} of {name}": moment
            for part, moments in zip(self.parts, self.of_group, strict=True)
            for i, of_weights in enumerate(moments)
            for name, moment in zip(part.weights, of_weights, strict=True)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, moment in self.tensors().items():
            moment.copy_(tensors[name])


class Adam:
    """Kingma and Ba 2015; with decoupled decay, AdamW (Loshchilov and Hutter 2019), decay times rate as in torch."""

    def __init__(self, settings: Optimiser, parts: list[Group]) -> None:
        self.settings, self.parts, self.moments = settings, parts, Moments(parts, 2)
        self.counts = [[torch.zeros((), device=weight.device) for weight in part.tensors] for part in parts]

    def step(self, step: int, objective: Objective) -> float:
        settings, rate = self.settings, self.settings.rate(step)
        for part, (averages, squares), counts in zip(self.parts, self.moments.of_group, self.counts, strict=True):
            adam(
                part.tensors,
                part.gradients,
                averages,
                squares,
                [],
                counts,
                foreach=False,
                fused=settings.arithmetic == "reduced",
                decoupled_weight_decay=settings.decay == "decoupled",
                amsgrad=False,
                beta1=settings.beta1,
                beta2=settings.beta2,
                lr=rate,
                weight_decay=part.decay,
                eps=settings.epsilon,
                maximize=False,
            )
        return rate

    def tensors(self) -> dict[str, Tensor]:
        return self.moments.tensors()

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.moments.restore(tensors)
        for count in [count for counts in self.counts for count in counts]:
            count.fill_(step)


class SGD:
    """Gradient descent, with heavy-ball momentum (Polyak 1964, as in torch) where `momentum` is above 0."""

    def __init__(self, settings: Optimiser, parts: list[Group]) -> None:
        self.settings, self.parts = settings, parts
        self.moments = Moments(parts, int(settings.momentum > 0))

    def step(self, step: int, objective: Objective) -> float:
        settings, rate = self.settings, self.settings.rate(step)
        is_coupled = settings.decay == "coupled"
        for part, moments in zip(self.parts, self.moments.of_group, strict=True):
            if not is_coupled:  # which torch's SGD does not have
                torch._foreach_mul_(part.tensors, 1.0 - rate * part.decay)
            buffers: list[Tensor | None] = [*moments[0]] if moments else [None] * len(part.tensors)
            sgd(
                part.tensors,
                part.gradients,
                buffers,
                foreach=False,
                fused=settings.arithmetic == "reduced",
                weight_decay=part.decay if is_coupled else 0.0,
                momentum=settings.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
        return rate

    def tensors(self) -> dict[str, Tensor]:
        return self.moments.tensors()

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.moments.restore(tensors)
