"""Steps at which training keeps weights, states and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LEAST_BETWEEN_STATES = 100
"""Least number of steps between two states of training. Replays go on from the nearest one."""


def log_spaced(how_many: int, last: int) -> set[int]:
    """Return the steps 0 and `last`, and `how_many` steps with equal ratios from 1 towards `last`."""
    geometric = {round(last ** (i / how_many)) for i in range(how_many)} if last else set()
    return {0, last} | geometric


@dataclass(frozen=True)
class Spacing:
    """Steps for a logarithmic and a linear axis.

    Attributes:
        log: number of steps with equal ratios, from 1.
        every: distance of the evenly spaced steps, from 0.
    """

    log: int
    every: int

    def steps(self, last: int) -> list[int]:
        """Return the steps from 0 to `last`, both included, in ascending order."""
        return sorted(log_spaced(self.log, last) | set(range(0, last, self.every)))


def evenly_chosen(steps: Sequence[int], how_many: int | None) -> list[int]:
    """Return `how_many` of the steps, evenly spaced by position in the list; all of them for None.

    The first and the last are always among them; if only one is wanted, it is the last.
    """
    if how_many is None or how_many >= len(steps):
        return list(steps)
    if how_many == 1:
        return [steps[-1]]
    return [steps[round(i * (len(steps) - 1) / (how_many - 1))] for i in range(how_many)]


@dataclass(frozen=True)
class Schedule:
    """Length of training, and the steps that are kept.

    Attributes:
        steps: number of updates.
        checkpoints: steps whose weights are kept.
        metrics: steps at which the network is evaluated.
        until: training ends earlier, at so many times t_g, if that comes before `steps`; None trains all steps.
        whose: the replica whose t_g that is: the replica's "own", or its "partner", which is the replica of grokking
            with the same number.
    """

    steps: int
    checkpoints: Spacing
    metrics: Spacing
    until: float | None = None
    whose: Literal["own", "partner"] = "partner"

    @property
    def waits_for_partner(self) -> bool:
        """Tell whether the partner must have been trained before this run, since it ends this run."""
        return self.until is not None and self.whose == "partner"

    @property
    def ends_itself(self) -> bool:
        """Tell whether the run's own t_g ends it."""
        return self.until is not None and self.whose == "own"

    @property
    def state_every(self) -> int:
        """Steps between two states of training: at most about forty. They do not depend on when a run was killed."""
        return max(LEAST_BETWEEN_STATES, 100 * round(self.steps / 4000))

    def last(self, generalised: float) -> int:
        """Return the last step of a replica, given the t_g that ends it; NaN if that never comes."""
        if self.until is None or not math.isfinite(generalised):
            return self.steps
        return min(self.steps, math.floor(self.until * generalised))

    def end_key(self, last: int) -> str:
        """Return the part of the key of training states that says where a replica ends; empty if its settings say it.

        A run that goes on from a state after its end would have the wrong checkpoints.
        """
        return f"until {last}" if self.waits_for_partner else ""
