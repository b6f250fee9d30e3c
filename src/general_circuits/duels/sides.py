"""The two sides of a planted duel, scaled so that each has its share of every margin at the start.

A side's part in an example's margin is its right logit minus its logit of one other class. That class is the one whose
logit is largest in the sum of both sides. So the two parts add up to the margin.
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
"""Power of a side's scale that goes into its readout weights."""
MATCHINGS = 50
"""Rounds of scaling. Each changes which other class is largest, and so the parts to be matched in the next."""
LEAST = 1e-6
"""Smallest part in a margin that is scaled to match; smaller ones would need huge factors."""


@dataclass(frozen=True)
class Side:
    """One side, of one duel or of several that are fought together.

    Attributes:
        modules: networks, one duel's after another's.
        gains: (duel, training example), fixed factors of its logits.
        covers: (training example), number of the duel's module that knows each example.
    """

    modules: Modules
    gains: Tensor
    covers: Tensor

    @classmethod
    def stacked(cls, sides: Sequence[Side]) -> Side:
        """Join the sides of several duels; their modules have one shape and cover the same examples."""
        stacked = [torch.cat(tensors) for tensors in zip(*(side.modules.tensors for side in sides), strict=True)]
        return replace(sides[0].with_weights(stacked), gains=torch.cat([side.gains for side in sides]))

    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens → each module's logits without gains, (duel, module, example, class)."""
        # The stack is (duel · module, example, class): every duel has as many modules.
        return self.modules.answer(tokens).unflatten(0, (len(self.gains), -1))

    def of_each(self, tokens: Tensor) -> Tensor:
        """Tokens of all training examples → each module's logits with gains, (duel, module, example, class)."""
        return self.answer(tokens) * self.gains[:, None, :, None]

    def with_weights(self, tensors: Sequence[Tensor]) -> Side:
        return replace(self, modules=self.modules.with_weights(tensors))

    def moved(self, *parts: Sequence[Tensor]) -> Side:
        """Add these changes to the weights, one after the other."""
        weights = self.modules.tensors
        for part in parts:
            weights = [weight + change for weight, change in zip(weights, part, strict=True)]
        return self.with_weights(weights)


def contestants(
    duel: PlantedDuel, examples: DuelExamples, planted: Planted, replica: int
) -> tuple[Modules, Modules, Tensor]:
    """Select the networks of both sides.

    Returns:
        The general side's networks, the shallow side's, and the part that each training example is in.
    """
    generalisers = planted[ModuleGroup("generaliser", 1, 0.0)]
    memorisers = planted[ModuleGroup("memoriser", duel.parts, duel.label_noise)]
    general, shallow = generalisers.some([0]), memorisers
    if duel.duel_kind == "generalisers":
        shallow = generalisers.some([1])
    elif duel.duel_kind == "memorisers":
        general = planted[ModuleGroup("rival_memoriser", 1, duel.label_noise)]
    elif duel.duel_kind == "copy":
        shallow = general.permuted(torch.Generator().manual_seed(stream_seed(replica, "parts")))
    return general, shallow, examples.parts(duel.parts, replica)


@torch.no_grad()
def set_up(
    duel: PlantedDuel, examples: DuelExamples, labels: Tensor, general: Modules, shallow: Modules, covers: Tensor
) -> tuple[Side, Side]:
    """Scale both sides so that each has the duel's share of every training example's margin.

    The general side is wrong on an example with a wrong label. It gets its median gain there, and the shallow side
    makes up for the rest of the margin.

    Args:
        duel: the settings.
        examples: the replica's examples.
        labels: (training example), the labels that train, noise included.
        general, shallow: the networks of each side.
        covers: (training example), number of the shallow network that knows each example.

    Returns:
        The general and the shallow side.
    """
    tokens = examples.tokens[: examples.n_training]
    logits = torch.stack([side.answer(tokens).sum(0) for side in (general, shallow)])  # (side, example, class)
    alone = predictions.margins(logits, labels)  # (side, example): the margin of each side by itself
    shares = alone.new_tensor([[duel.initial_share], [1 - duel.initial_share]])
    wanted = duel.initial_margin * shares.expand_as(alone)
    is_right = alone > 0
    # A first guess, exact where both sides have the same best wrong class.
    gains = torch.where(is_right, wanted / alone.clamp(min=LEAST), torch.ones_like(alone))
    for _ in range(MATCHINGS):
        for gain, right in zip(gains, is_right, strict=True):
            if right.any():
                gain[~right] = gain[right].median()
        # Parts over the best wrong class of the sum with the present gains, (side, example), without gains.
        given = predictions.margins_over(logits, labels, predictions.rivals((gains[..., None] * logits).sum(0), labels))
        needed = torch.where(is_right, wanted, gains * given)
        needed[1] = torch.where(is_right[0], needed[1], duel.initial_margin - needed[0])
        gains = torch.where(is_right & (given > LEAST), needed / given.clamp(min=LEAST), gains)
    # One factor per side can go into its weights; what differs between examples stays outside.
    inside = [float(gain.median()) ** INSIDE[duel.scaling] for gain in gains]
    knows = covers if len(shallow) > 1 else torch.zeros_like(covers)
    return (
        Side(general.scaled(inside[0]), gains[:1] / inside[0], torch.zeros_like(covers)),
        Side(shallow.scaled(inside[1]), gains[1:] / inside[1], knows),
    )
