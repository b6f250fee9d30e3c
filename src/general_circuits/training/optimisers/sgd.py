"""Gradient descent, through torch's function `sgd`.

torch's class `SGD` around the function is not used: it imports torch's compiler, which takes 1.4 s in every job.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from general_circuits.training.optimisers.decay import DecayGroup, Objective
from general_circuits.training.optimisers.moments import Moments
from general_circuits.training.settings import Optimiser


class SGD:
    """Gradient descent, with heavy-ball momentum if `momentum` is above 0.

    The velocity v ← momentum · v + g replaces g (Polyak 1964, in the form that torch uses).
    """

    def __init__(self, settings: Optimiser, parts: list[DecayGroup]) -> None:
        self.settings, self.parts = settings, parts
        self.moments = Moments(parts, int(settings.momentum > 0))

    def step(self, step: int, objective: Objective) -> float:
        settings, rate = self.settings, self.settings.rate(step)
        is_coupled = settings.decay == "coupled"
        for part, moments in zip(self.parts, self.moments.of_group, strict=True):
            if not is_coupled:  # torch's SGD has no decoupled decay
                torch._foreach_mul_(part.tensors, 1.0 - rate * part.decay)
            # torch reads one buffer per weight; None stands for no momentum.
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


RULE = SGD
