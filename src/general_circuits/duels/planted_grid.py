"""The planted duels of a study, as flat records."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal, NamedTuple

from general_circuits.duels.settings import DuelKind, Duels, Planting, Scaling
from general_circuits.duels.toy_grid import RuleSettings

CONTROLS: tuple[DuelKind, ...] = ("generalisers", "memorisers", "copy")
"""Null controls: duels between equals, in which neither side should win."""
NUMBERS_PER_STACK = 2**20
"""Most weights and logits of duels that are fought at once; a larger duel is fought alone.

A call costs more than the arithmetic of a small network, so duels share calls up to this size."""


class PlantedDuel(NamedTuple):
    """One duel of so many training `steps`. A `batch` of 0 means all training examples."""

    duel_kind: DuelKind
    optimiser: str
    parts: int
    general_decay: float
    shallow_decay: float
    batch: int
    initial_margin: float
    initial_share: float
    scaling: Scaling
    label_noise: float
    order: Literal["shuffled", "away"]
    steps: int


def planted_duels(planting: Planting, duels: Duels, rule: RuleSettings) -> list[PlantedDuel]:
    """List every duel with one update rule, the registered one first.

    The registered duel has no decay, the most parts, and the first of every other list. The others change one thing.
    Duels that differ from it in parts and decay of both sides are trained until their shares settle. Each scaling has a
    duel with one part, since coverage is the difference between the most parts and one.
    """
    first = duels.batch_sizes[0], duels.margins[0], duels.initial_shares[0], duels.scalings[0]
    most, noise = max(planting.parts), planting.label_noises[0]
    base = PlantedDuel("duel", rule.optimiser, most, 0.0, 0.0, *first, noise, "shuffled", duels.steps)
    settled = base._replace(steps=duels.steps * dict(duels.settling).get(rule.optimiser, 1))
    fought: dict[PlantedDuel, PlantedDuel] = {}
    for duel in _varied(base, settled, planting, duels, sorted({0.0, *rule.weight_decays})):
        # Of two duels that differ in their steps alone, the first is kept: the longer one.
        fought.setdefault(duel._replace(steps=0), duel)
    return list(fought.values())


def _varied(
    base: PlantedDuel, settled: PlantedDuel, planting: Planting, duels: Duels, decays: list[float]
) -> Iterator[PlantedDuel]:
    """Yield all duels, with repetitions: the registered one first, which is `settled`; `decays` ascend from 0."""
    yield settled
    for parts, decay in itertools.product({1: None} | dict.fromkeys(planting.parts), decays):
        yield settled._replace(parts=parts, general_decay=decay, shallow_decay=decay)
    for decay in decays[1:]:
        yield base._replace(general_decay=decay)
        yield base._replace(shallow_decay=decay)
    yield from (base._replace(batch=size) for size in duels.batch_sizes)
    yield from (base._replace(initial_margin=margin) for margin in duels.margins)
    yield from (base._replace(initial_share=share) for share in duels.initial_shares)
    for parts, scaling in itertools.product((base.parts, 1), duels.scalings):
        yield base._replace(parts=parts, scaling=scaling)
    yield from (base._replace(label_noise=noise) for noise in planting.label_noises)
    yield base._replace(order="away")
    for duel_kind, decay in itertools.product(CONTROLS, (0.0, decays[-1])):
        yield base._replace(duel_kind=duel_kind, parts=1, general_decay=decay, shallow_decay=decay)
