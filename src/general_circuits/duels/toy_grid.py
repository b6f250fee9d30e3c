"""The toys of a study, as flat records."""

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
"""Number of recorded steps on a log axis. The ends of blocks in blocked order are recorded too."""


@dataclass(frozen=True)
class RuleSettings:
    """One update rule: its learning rate, and the weight decays to try."""

    optimiser: Rule
    learning_rate: float
    weight_decays: tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """Settings that toys vary.

    Every attention × sharing × coverage × decay is trained, each with at most one other setting changed.

    Attributes:
        pairs: n, the number of input pairs to memorise.
        margin: right logit minus any other at the start, for a pair that both kinds of circuit cover.
        coverages: values of c, the number of pairs that the general circuit covers.
        attentions, sharings: kinds of attention, and ways to plant the general circuit.
        batch_sizes, orders, initial_shares, frequencies: values to try one at a time, others as in `Toy`'s defaults.
        rules: update rules.
        steps: steps of training.
        block_steps: steps that the first pair is away in blocked order, and then is shown, in turn.
        replicas: number of random batch orders; a toy without chance is trained once.
        first_seed: the first replica's seed.
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
    """One toy.

    A `batch` of 0 means all pairs. The first pair is shown `frequency` times as often as any other.
    """

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
    """List every toy of one update rule, each plain one before its variants."""
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
    """Yield a plain toy and its variants, in which one setting differs."""
    yield base
    for size in sorted(set(grid.batch_sizes) - {grid.pairs}):
        yield base._replace(batch=size)
    for order in sorted(set(grid.orders) - {"shuffled"}):
        # Sequential: one pair at a time, in a fixed order. Blocked: all pairs but the first for a while, then all.
        yield base._replace(order=order, batch=1 if order == "sequential" else 0)
    for share in sorted(set(grid.initial_shares) - {0.5}):
        yield base._replace(initial_share=share)
    for frequency in sorted(set(grid.frequencies) - {1}):
        yield base._replace(frequency=frequency)


def evaluation_steps(grid: Grid) -> list[int]:
    """List the recorded steps, ascending."""
    ends = range(grid.block_steps, grid.steps, grid.block_steps) if "blocked" in grid.orders else ()
    return sorted(log_spaced(EVALUATIONS, grid.steps) | {*ends})
