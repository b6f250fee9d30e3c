"""Settings of training that the stages receive: frozen records without defaults, which `config` fills in."""

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
"""Pattern of a place in a run that is a step and not an event."""


@dataclass(frozen=True)
class Optimiser:
    """Settings of one training step: update rule, decay, batch and loss. `config.condition` describes every key."""

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
        """Return the learning rate of an update, counted from 0: a linear warm-up, then constant.

        Rules that search their step size do not use it.
        """
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warm_up))

    def decays(self, names: Iterable[str]) -> set[str]:
        """Return the names that `decay_on` selects among the names of a network's weights.

        `decay_on` is "all" or a list of shell-style patterns. A * also matches dots, as in `blocks.*.mlp.*`.

        Raises:
            ValueError: if a pattern matches no weight.
        """
        weights = list(names)
        patterns = ("*",) if self.decay_on == "all" else self.decay_on
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in weights):
                known = ", ".join(weights)
                raise ValueError(f"decay_on = {pattern!r}: matches no weight of the network; it has {known}")
        return {name for name in weights if any(fnmatchcase(name, pattern) for pattern in patterns)}


@dataclass(frozen=True)
class Condition:
    """A complete setting of an experiment.

    Attributes:
        perturbation: relative size of a random move of the starting weights.
    """

    task: AnyTask
    split: Split
    model: Model
    perturbation: float
    optimiser: Optimiser
    schedule: Schedule


@dataclass(frozen=True)
class Intervention:
    """Changes that a branch makes to training beside its settings.

    Attributes:
        kick: size of a single random move of every weight tensor when the branch starts, as a share of the tensor's
            norm. The name of another branch instead asks for a kick that lowers training accuracy as far as that
            branch's lowest.
        mask: share of the numbers of each matrix, the smallest in size, that stay 0 from the start of the branch on.
        temperature: number by which the loss divides logits.
        ignore_above: probability of the label from which on an example has no part in the loss.
        noise_instead: size of noise that replaces the gradient. By the end of the branch it has moved the weights as
            far as a weight decay of this size would. At 0 there is no gradient at all.
        noise_examples: number of examples. The noise is that of minibatches of so many examples; None: Gaussian.
        batch_noise: number of examples. Gaussian noise is added to the gradient. In every tensor it is as large as the
            difference between the gradient of so many random examples and the batch's gradient.
    """

    kick: float | str
    mask: float
    temperature: float
    ignore_above: float | None
    noise_instead: float | None
    noise_examples: int | None
    batch_noise: int | None


@dataclass(frozen=True)
class Branch:
    """Place where a condition leaves its parent, which is another condition, and what changes from there on.

    Attributes:
        parent: the other condition, with all its settings.
        at: event of the parent, or a step such as "step 1000".
        lasts: number of steps after which the change ends; None if it never ends.
        then: what follows. "back": the parent's settings return at once. "anneal": learning rate and weight decay
            return gradually over as many steps again. "stop": training ends.
        intervention: changes beside the settings that differ from the parent's.
    """

    parent: Condition
    at: str
    lasts: int | None
    then: Literal["back", "anneal", "stop"]
    intervention: Intervention

    def last(self, start: int) -> int | None:
        """Return the last step of a branch that left its parent at step `start`.

        None means that the schedule ends it.
        """
        return start + self.lasts if self.then == "stop" and self.lasts is not None else None
