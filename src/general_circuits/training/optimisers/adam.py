"""Adam, through torch's function `adam`.

torch's class `Adam` around the function is not used: it imports torch's compiler, which takes 1.4 s in every job.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

from general_circuits.training.optimisers.decay import DecayGroup, Objective
from general_circuits.training.optimisers.moments import Moments
from general_circuits.training.settings import Optimiser


class Adam:
    """Adam (Kingma and Ba 2015). With decoupled decay it is AdamW (Loshchilov and Hutter 2019).

    AdamW shrinks a weight by rate × decay, as torch does.
    """

    def __init__(self, settings: Optimiser, parts: list[DecayGroup]) -> None:
        self.settings, self.parts, self.moments = settings, parts, Moments(parts, 2)
        # torch wants one count of past steps per weight, each as a tensor.
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


RULE = Adam
