"""The two sides of a planted duel, scaled so that both give what they should to every margin at the start.

A side's part in an example's margin is its right logit minus its logit of the sum's largest other class, so that the
two parts add up to the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from general_circuits.duels.module_training import DuelExamples, ModuleGroup, Planted
from general_circuits.duels.planted_grid import PlantedDuel
from general_circuits.duels.settings import Scaling
from general_circuits.duels.stacked_networks import Modules
from general_circuits.models import predictions
from general_circuits.seeds import stream_seed

INSIDE: dict[Scaling, float] = {"outside": 0.0, "halfway": 0.5, "inside": 1.0}
"""Which power of a side's scale is in its readout weights."""
MATCHINGS = 50
"""Rounds in which sides are scaled, since their scale decides which other class is largest."""
LEAST = 1e-6
"""A part in a margin that can be scaled to any other."""


@dataclass(frozen=True)
class Side:
    """One side, of one duel or of several that are fought together.

    Attributes:
        modules: its networks, one duel's after another's.
        gains: (duel, training example), fixed numbers that its logits are multiplied by.
        covers: (training example), which of a duel's modules knows each example.
    """

    modules: Modules
    gains: Tensor
    covers: Tensor

    @classmethod
    def stacked(cls, sides: Sequence[Side]) -> Side:
        """Of several duels, whose modules are of one shape and cover the same examples."""
        stacked = [torch.cat(tensors) for tensors in zip(*(side.modules.tensors for side in sides), strict=True)]
        return replace(sides[0].with_weights(stacked), gains=torch.cat([side.gains for side in sides]))

    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens → each module's logits without gains, (duel, module, example, class)."""
        return self.modules.answer(tokens).unflatten(0, (len(self.gains), -1))

    def of_each(self, tokens: Tensor) -> Tensor:
        """All training examples → each module's logits, (duel, module, example, class)."""
        return self.answer(tokens) * self.gains[:, None, :, None]

    def with_weights(self, tensors: Sequence[Tensor]) -> Side:
        return replace(self, modules=self.modules.with_weights(tensors))

    def moved(self, *parts: Sequence[Tensor]) -> Side:
        """With these added to the weights, one after the other."""
        weights = self.modules.tensors
        for part in parts:
            weights = [weight + change for weight, change in zip(weights, part, strict=True)]
        return self.with_weights(weights)


def contestants(
    arm: PlantedDuel, ground: DuelExamples, planted: Planted, replica: int
) -> tuple[Modules, Modules, Tensor]:
    """Both sides' networks, and which of the second's knows each training example."""
    generalisers = planted[ModuleGroup("generaliser", 1, 0.0)]
    memorisers = planted[ModuleGroup("memoriser", arm.parts, arm.label_noise)]
    general, shallow = generalisers.some([0]), memorisers
    if arm.duel_kind == "generalisers":
        shallow = generalisers.some([1])
    elif arm.duel_kind == "memorisers":
        general = planted[ModuleGroup("rival_memoriser", 1, arm.label_noise)]
    elif arm.duel_kind == "copy":
        shallow = general.permuted(torch.Generator().manual_seed(stream_seed(replica, "parts")))
    return general, shallow, ground.parts(arm.parts, replica)


@torch.no_grad()
def set_up(
    arm: PlantedDuel, ground: DuelExamples, labels: Tensor, general: Modules, shallow: Modules, covers: Tensor
) -> tuple[Side, Side]:
    """Both sides scaled so that their parts in every training example's margin are what the arm says.

    Args:
        arm: the duel.
        ground: the examples.
        labels: (training example), those that train, noise included.
        general, shallow: the networks of each side.
        covers: (training example), which of the shallow ones knows each example.

    Where the general side is wrong, on an example with a wrong label, it has its median gain, and the shallow side so
    much that the whole margin is what it should be.
    """
    tokens = ground.tokens[: ground.n_training]
    whole = torch.stack([side.answer(tokens).sum(0) for side in (general, shallow)])  # (side, example, class)
    own = predictions.margins(whole, labels)  # (side, example)
    shares = own.new_tensor([[arm.initial_share], [1 - arm.initial_share]])
    wanted = arm.initial_margin * shares.expand_as(own)
    is_right = own > 0
    gains = torch.where(is_right, wanted / own.clamp(min=LEAST), torch.ones_like(own))
    for _ in range(MATCHINGS):
        for gain, right in zip(gains, is_right, strict=True):
            if right.any():
                gain[~right] = gain[right].median()
        given = predictions.margins_over(whole, labels, predictions.rivals((gains[..., None] * whole).sum(0), labels))
        needed = torch.where(is_right, wanted, gains * given)
        needed[1] = torch.where(is_right[0], needed[1], arm.initial_margin - needed[0])
        gains = torch.where(is_right & (given > LEAST), needed / given.clamp(min=LEAST), gains)
    inside = [float(gain.median()) ** INSIDE[arm.scaling] for gain in gains]
    knows = covers if len(shallow) > 1 else torch.zeros_like(covers)
    return (
        Side(general.scaled(inside[0]), gains[:1] / inside[0], torch.zeros_like(covers)),
        Side(shallow.scaled(inside[1]), gains[1:] / inside[1], knows),
    )
