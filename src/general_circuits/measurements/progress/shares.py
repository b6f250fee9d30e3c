"""General share of every training margin, before and after a spike or a kick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from general_circuits.measurements.progress import forces
from general_circuits.measurements.progress.components import General
from general_circuits.models import predictions
from general_circuits.models.network import Network

FIFTH = 0.2
"""Smallest share of a margin that each kind of circuit has if both serve an example."""


@dataclass(frozen=True)
class Shares:
    """Margins of a network's training examples, and the share of them that is general.

    The general part is `General.unseen`: the part that unseen examples alone show.

    Attributes:
        general: general part of the mean margin, as a share of it.
        shares: (example), general part of each example's margin, as a share of it.
        losses: (example), cross-entropy in nats.
        margins: (example), in logits.
    """

    general: float
    shares: Tensor
    losses: Tensor
    margins: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: Network, general: General) -> Self:
        """Measure a network as it is, with the functions that its replica's general solution is made of."""
        examples = general.examples
        train, labels = examples.rows["train"], examples.labels[examples.rows["train"]]
        logits = forces.answer(model, examples.tokens)
        # Both margins are against the network's best wrong class, so that the general one is a part of the other.
        others = predictions.rivals(logits, examples.labels)[train]
        unseen = predictions.margins_over(general.unseen(logits)[train], labels, others).double()
        margins = predictions.margins(logits[train].double(), labels)
        losses = predictions.surprise(logits[train].double(), labels)
        return cls(float(unseen.mean() / margins.mean()), unseen / margins, losses, margins)


def effects(observations: Sequence[Shares]) -> dict[str, float]:
    """Return a row of the table `spike_effects`: examples that both circuits serve against all others.

    Args:
        observations: a network before a spike, at it, after it and perhaps later.
    """
    before, at, after = observations[:3]
    is_shared = (before.margins > 0) & (before.shares > FIFTH) & (before.shares < 1 - FIFTH)
    rise, fall = at.losses - before.losses, before.margins - at.margins
    return {
        "general_before": before.general,
        "general_after": after.general,
        "general_later": observations[3].general if len(observations) > 3 else math.nan,
        "shared": int(is_shared.sum()),
        "rise_shared": float(rise[is_shared].mean()),
        "rise_others": float(rise[~is_shared].mean()),
        "fall_shared": float(fall[is_shared].mean()),
        "fall_others": float(fall[~is_shared].mean()),
    }
