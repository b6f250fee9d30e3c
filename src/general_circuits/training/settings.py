"""Settings of training, as the stages get them: frozen records without defaults, which `config` fills in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from general_circuits.models.settings import Model
from general_circuits.tasks.settings import AnyTask, Split
from general_circuits.training.schedule import Schedule

STEP = re.compile(r"step (\d+)")
"""A place in a run that is no event."""


@dataclass(frozen=True)
class Optimiser:
    """How one step is taken."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"]
    learning_rate: float
    warm_up: int
    weight_decay: float
    decay: Literal["decoupled", "coupled"]
    decay_on: Literal["all"] | tuple[str, ...]
    beta1: float
    beta2: float
    epsilon: float
    momentum: float
    gradient_noise: float
    grokfast_alpha: float
    grokfast_lambda: float
    batch_size: int | Literal["full"]
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"]
    loss_precision: Literal["float32", "float64"]
    arithmetic: Literal["reduced", "plain"]

    def rate(self, step: int) -> float:
        """That of update `step` (from 0): a linear warm-up, then constant. Rules that search a line find their own."""
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warm_up))

    def decays(self, names: Iterable[str]) -> set[str]:
        """Those of a network's weights that `decay_on` names, "all" or shell-style patterns.

        In `blocks.*.mlp.*` the * also stands for dots.

        Raises:
            ValueError: where a pattern matches no weight.
        """
        weights = list(names)
        patterns = ("*",) if self.decay_on == "all" else self.decay_on
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in weights):
                had = ", ".join(weights)
                raise ValueError(f"decay_on = {pattern!r}: matches no weight of the network; it has {had}")
        return {name for name in weights if any(fnmatchcase(name, pattern) for pattern in patterns)}


@dataclass(frozen=True)
class Condition:
    """One complete setting of an experiment."""

    task: AnyTask
    split: Split
    model: Model
    optimiser: Optimiser
    schedule: Schedule


@dataclass(frozen=True)
class Intervention:
    """What a branch does to training that no setting says.

    Attributes:
        kick: once, at the start: every weight tensor moves in a random direction by this share of its norm; or the name
            of another branch, whose lowest training accuracy the kick shall cause.
        mask: share of each matrix's numbers, the smallest, that are 0 from the start on.
        temperature: that the loss divides logits by.
        ignore_above: examples whose label has this probability or more have no part in the loss.
        noise_instead: Gaussian noise in place of the gradient, of mean size so many times each tensor's mean size: as
            much as a decay of that size takes. 0 is no gradient at all.
        batch_noise: Gaussian noise beside the gradient, of each tensor as large as what batches of so many examples
            differ by from the whole.
    """

    kick: float | str
    mask: float
    temperature: float
    ignore_above: float | None
    noise_instead: float | None
    batch_noise: int | None


@dataclass(frozen=True)
class Branch:
    """Where a condition leaves another one, which it continues, and how it differs from there.

    Attributes:
        parent: the other one, complete.
        at: an event of it, or "step 1000".
        lasts: steps after which settings are the parent's again; None for never.
        then: at once, or, of learning rate and weight decay, by and by over as many steps again; or training ends.
        intervention: beside the settings that differ.
    """

    parent: Condition
    at: str
    lasts: int | None
    then: Literal["back", "anneal", "stop"]
    intervention: Intervention

    def last(self, start: int) -> int | None:
        """The step at which a branch ends that left its parent at this one, if not at its schedule's end."""
        return start + self.lasts if self.then == "stop" and self.lasts is not None else None
