"""Settings of planted duels, as the frozen records that stages receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from general_circuits.duels.toy_grid import RuleSettings
from general_circuits.models.settings import Model

Scaling = Literal["outside", "halfway", "inside"]
DuelKind = Literal["duel", "generalisers", "memorisers", "copy"]


@dataclass(frozen=True)
class Planting:
    """Settings for training modules apart from each other.

    Attributes:
        model: the generaliser's architecture; a memoriser of one of K parts has 1/√K of its neurons.
        general_fraction: share of all examples that a generaliser trains on; each draws a split of its own.
        learning_rate, weight_decay: AdamW's; memorisers have no decay.
        general_steps: the generalisers' most steps; every hundred steps a check may end their training.
        memory_steps: steps of every memoriser.
        parts: values of K, the number of parts that the training examples are split into.
        label_noises: values of ξ, the share of the training examples whose label is wrong.
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
    """Settings that duels vary, one at a time.

    The registered duel has the most `parts`, no decay, and the first of every other list.

    Attributes:
        rules: update rules, each with the weight decays to try.
        batch_sizes: examples per step; 0 means all.
        margins: every training example's margin at the start; a larger one is a lower temperature.
        initial_shares: the general side's share of that margin.
        scalings: place of the factor that matches margins at the start: outside the networks, inside their readout
            weights, or its square root in each (halfway).
        steps: steps of a duel. Longer duels have their updates measured up to here.
        settling: steps of the duels whose shares are judged, in units of `steps`: pairs of an update
            rule and its number; 1 for other rules.
        evaluations: number of steps whose effect is measured, evenly over `steps`, besides the first. Longer duels
            record their margins as many times after them.
    """

    rules: tuple[RuleSettings, ...]
    batch_sizes: tuple[int, ...]
    margins: tuple[float, ...]
    initial_shares: tuple[float, ...]
    scalings: tuple[Scaling, ...]
    steps: int
    settling: tuple[tuple[str, int], ...]
    evaluations: int
