"""The toys of a study: every setting that is trained, as flat records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from general_circuits.training.schedule import log_spaced

Attention = Literal["linear", "softmax"]
Sharing = Literal["shared", "apart"]
Order = Literal["shuffled", "sequential", "blocked"]
Rule = Literal["sgd", "momentum", "adam", "adamw"]


EVALUATIONS = 12
"""Steps that are recorded, on a log axis; the ends of the blocks of blocked order are recorded too."""


@dataclass(frozen=True)
class RuleSettings:
    """One update rule: its rate, and the weight decays that it is tried with."""

    optimiser: Rule
    learning_rate: float
    weight_decays: tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """What is varied. Every attention × sharing × coverage × decay, each with one of the other things at a time.

    Attributes:
        pairs: n, input pairs to memorise.
        margin: how far every right logit is above the others at the start, of a pair that both kinds of circuit cover.
        coverages: how many pairs the general circuit finds.
        batch_sizes, orders, initial_shares, frequencies: in turn, the others as in `Toy`'s defaults.
        rules: how steps are taken, in turn.
        steps: of training.
        block_steps: how long an example stays away in blocked order, and then comes again.
        replicas: orders of batches; what has no chance in it is trained once.
        first_seed: of the first replica.
    """

    pairs: int
    margin: float
    coverages: tuple[int, ...]
    attentions: tuple[Attention, ...]
    sharings: tuple[Sharing, ...]
    batch_sizes: tuple[int, ...]
    orders: tuple[Order, ...]
    initial_shares: tuple[float, ...]
    frequencies: tuple[int, ...]
    rules: tuple[RuleSettings, ...]
    steps: int
    block_steps: int
    replicas: int
    first_seed: int


class Toy(NamedTuple):
    """One toy. `batch` 0 is all pairs; the first pair is shown `frequency` times as often as each other one."""

    attention: Attention
    sharing: Sharing
    coverage: int
    weight_decay: float
    batch: int = 0
    order: Order = "shuffled"
    initial_share: float = 0.5
    frequency: int = 1
    replica: int = 0


def toys(grid: Grid, rule: RuleSettings) -> list[Toy]:
    """Every toy of one update rule, the plain ones first."""
    crossed = itertools.product(
        grid.attentions, grid.sharings, sorted(set(grid.coverages)), sorted(set(rule.weight_decays))
    )
    return [
        variant._replace(replica=grid.first_seed + i)
        for cross in crossed
        for variant in _variants(grid, Toy(*cross))
        for i in range(grid.replicas if variant.batch else 1)
    ]


def _variants(grid: Grid, base: Toy) -> Iterator[Toy]:
    yield base
    for size in sorted(set(grid.batch_sizes) - {grid.pairs}):
        yield base._replace(batch=size)
    for order in sorted(set(grid.orders) - {"shuffled"}):
        # One example at a time, always in the same order; or all but the first for a while, and all again.
        yield base._replace(order=order, batch=1 if order == "sequential" else 0)
    for share in sorted(set(grid.initial_shares) - {0.5}):
        yield base._replace(initial_share=share)
    for frequency in sorted(set(grid.frequencies) - {1}):
        yield base._replace(frequency=frequency)


def evaluation_steps(grid: Grid) -> list[int]:
    """The steps that are recorded."""
    ends = range(grid.block_steps, grid.steps, grid.block_steps) if "blocked" in grid.orders else ()
    return sorted(log_spaced(EVALUATIONS, grid.steps) | {*ends})
