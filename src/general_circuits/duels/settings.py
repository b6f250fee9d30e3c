"""What planted duels are made of, as stages get it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from general_circuits.duels.toy_grid import RuleSettings
from general_circuits.models.settings import Model

Scaling = Literal["outside", "halfway", "inside"]
DuelKind = Literal["duel", "generalisers", "memorisers", "copy"]


@dataclass(frozen=True)
class Planting:
    """How modules are trained, apart from each other.

    Attributes:
        model: the generaliser; a memoriser of one of K parts has 1/√K of its neurons.
        general_fraction: share of all examples that the generaliser trains on, its own split of them.
        learning_rate, weight_decay: of AdamW; memorisers have no decay.
        general_steps: the generaliser's at most; it is looked at every hundred.
        memory_steps: of every memoriser.
        parts: K, into how many parts the training examples are split, in turn.
        label_noises: ξ, in turn: shares of the training examples whose label is random.
    """

    model: Model
    general_fraction: float
    learning_rate: float
    weight_decay: float
    general_steps: int
    memory_steps: int
    parts: tuple[int, ...]
    label_noises: tuple[float, ...]


@dataclass(frozen=True)
class Duels:
    """What is varied, in turn, from the registered duel: the most `parts`, no decay, the first of every other list.

    Attributes:
        rules: how steps are taken; their decays are of both sides alike.
        batch_sizes: examples per step; 0 for all.
        margins: of every training example's right answer at the start; a lower temperature is a larger margin.
        initial_shares: of the general side in that margin.
        scalings: where the scale is put that makes both sides' margins equal: outside, inside a module's readout
            weights, or half of it in each.
        steps: of a duel.
        evaluations: how often the effect of one step is measured, evenly over the duel.
    """

    rules: tuple[RuleSettings, ...]
    batch_sizes: tuple[int, ...]
    margins: tuple[float, ...]
    initial_shares: tuple[float, ...]
    scalings: tuple[Scaling, ...]
    steps: int
    evaluations: int
