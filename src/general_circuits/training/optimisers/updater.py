"""The path from gradients to new weights, and everything that is remembered between two steps."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from general_circuits.training import optimisers
from general_circuits.training.optimisers.decay import DecayGroup, Objective, decay_groups
from general_circuits.training.optimisers.gradients import Grokfast, Noise
from general_circuits.training.settings import Optimiser


class Rule(Protocol):
    """An update rule.

    Attributes:
        settings: settings of the optimiser.
        parts: groups of weights that decay alike.
    """

    settings: Optimiser
    parts: list[DecayGroup]

    def step(self, step: int, objective: Objective) -> float:
        """Change the weights by their `.grad` and return the step size; updates count from 0."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what the rule remembers between steps, by name."""

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Restore what `tensors` returned after `step` steps of this rule."""


def module_of(name: str) -> str:
    """Return the dotted name of the module that defines this update rule."""
    return f"{optimisers.__name__}.{name}"


class Updater:
    """An update rule with the gradient noise and Grokfast before it.

    Args:
        settings: settings of the optimiser.
        weights: weights by name; updates change them and their `.grad` in place.
        seed: seed of the replica, for the noise.

    Raises:
        ValueError: if a pattern of `decay_on` matches no weight.
    """

    def __init__(self, settings: Optimiser, weights: Mapping[str, nn.Parameter], seed: int) -> None:
        self.weights = dict(weights)
        self.noise = Noise(settings.gradient_noise, seed) if settings.gradient_noise else None
        self.grokfast = (
            Grokfast(settings.grokfast_alpha, settings.grokfast_lambda, self.weights)
            if settings.grokfast_lambda
            else None
        )
        parts = decay_groups(settings, self.weights)
        self.rule: Rule = importlib.import_module(module_of(settings.optimiser)).RULE(settings, parts)
        self.remembering = [part for part in (self.noise, self.grokfast, self.rule) if part is not None]
        # The step of each part's first update. Only a branch can begin a part after step 0.
        self.since = {type(part): 0 for part in self.remembering}

    @torch.no_grad()
    def step(self, step: int, objective: Objective) -> float:
        """Change the weights by their `.grad` and return the step size.

        Args:
            step: number of updates before this one.
            objective: loss whose gradients these are, for rules that evaluate it again.
        """
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        if self.noise:
            self.noise.add(gradients)
        if self.grokfast:
            self.grokfast.amplify(gradients, step - self.since[Grokfast])
        return self.rule.step(step, objective)

    def tensors(self) -> dict[str, Tensor]:
        """Return what is remembered between steps, by name."""
        return {name: tensor for part in self.remembering for name, tensor in part.tensors().items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Restore what `tensors` returned after `step` steps."""
        for part in self.remembering:
            part.restore(tensors, step - self.since[type(part)])

    @torch.no_grad()
    def inherit(self, other: Updater, step: int) -> None:
        """Continue from another updater of the same weights.

        A part that both have goes on from the other's memory. A part that only this updater has, or that remembers
        more than the other's, begins at this step.

        Args:
            other: updater of the parent.
            step: number of updates before the next one.
        """
        theirs = {type(part): part for part in other.remembering}
        for part in self.remembering:
            kind = type(part)
            memory = theirs[kind].tensors() if kind in theirs else {}
            is_known = kind in theirs and part.tensors().keys() <= memory.keys()
            self.since[kind] = other.since[kind] if is_known else step
            if is_known:
                part.restore(memory, step - self.since[kind])

    def use(self, learning_rate: float, weight_decay: float) -> None:
        """Use another learning rate and decay from the next update on; not for rules that search their step size."""
        self.rule.settings = replace(self.rule.settings, learning_rate=learning_rate)
        for part in self.rule.parts:
            part.decay = weight_decay * part.is_named
