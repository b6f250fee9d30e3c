"""The steps at which training keeps weights, states and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STATE_EVERY = 500
"""Steps between two states of training. Fixed, so that they do not depend on when a run was killed."""


def log_spaced(how_many: int, last: int) -> set[int]:
    """Return steps from 0 to `last`, both included, and `how_many` geometrically from 1 up to it."""
    geometric = {round(last ** (i / how_many)) for i in range(how_many)} if last else set()
    return {0, last} | geometric


@dataclass(frozen=True)
class Spacing:
    """Steps spaced evenly on both axes: `log` of them from 1 geometrically, and one `every` so many steps."""

    log: int
    every: int

    def steps(self, last: int) -> list[int]:
        """The ascending steps from 0 to `last`, both included."""
        return sorted(log_spaced(self.log, last) | set(range(0, last, self.every)))


def evenly_chosen(steps: Sequence[int], how_many: int | None) -> list[int]:
    """So many of the steps, evenly by position, the first and the last among them; all of them for None."""
    if how_many is None or how_many >= len(steps):
        return list(steps)
    if how_many == 1:
        return [steps[-1]]
    return [steps[round(i * (len(steps) - 1) / (how_many - 1))] for i in range(how_many)]


@dataclass(frozen=True)
class Schedule:
    """How long training lasts, and when it is looked at."""

    steps: int
    checkpoints: Spacing
    metrics: Spacing
