"""From gradients to new weights, with all that is remembered between two steps."""

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
    """What makes a step of gradients, of `parts` that decay alike."""

    settings: Optimiser
    parts: list[DecayGroup]

    def step(self, step: int, objective: Objective) -> float:
        """Update `step` (from 0) by the weights' `.grad`, and return its rate."""

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered, by name."""

    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take what `tensors` gave after so many steps of its own."""


def module_of(name: str) -> str:
    """Return the dotted name of the module that has this update rule."""
    return f"{optimisers.__name__}.{name}"


class Updater:
    """What turns gradients into updates, with what it remembers of them.

    Args:
        settings: the rule.
        weights: by name; updated in place, their `.grad` too.
        seed: the replica's, for the noise.

    Raises:
        ValueError: where a pattern of `decay_on` matches no weight.
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
        self.since = {type(part): 0 for part in self.remembering}  # the step of each one's first update

    @torch.no_grad()
    def step(self, step: int, objective: Objective) -> float:
        """Update `step` (from 0) by the weights' gradients, and return its rate.

        Args:
            step: how many updates there were.
            objective: the loss that the gradients are of, for rules that evaluate it again.
        """
        gradients = [weight.grad for weight in self.weights.values() if weight.grad is not None]
        if self.noise:
            self.noise.add(gradients)
        if self.grokfast:
            self.grokfast.amplify(gradients, step - self.since[Grokfast])
        return self.rule.step(step, objective)

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered, by name."""
        return {name: tensor for part in self.remembering for name, tensor in part.tensors().items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take what `tensors` gave after so many steps."""
        for part in self.remembering:
            part.restore(tensors, step - self.since[type(part)])

    @torch.no_grad()
    def inherit(self, other: Updater, step: int) -> None:
        """Go on, at this step, from what another rule remembers of the same weights; what it does not know begins."""
        theirs = {type(part): part for part in other.remembering}
        for part in self.remembering:
            kind = type(part)
            known = theirs[kind].tensors() if kind in theirs else {}
            is_known = kind in theirs and part.tensors().keys() <= known.keys()
            self.since[kind] = other.since[kind] if is_known else step
            if is_known:
                part.restore(known, step - self.since[kind])

    def use(self, learning_rate: float, weight_decay: float) -> None:
        """Use another rate and decay from the next update on; only for rules that keep to the rate they are given."""
        self.rule.settings = replace(self.rule.settings, learning_rate=learning_rate)
        for part in self.rule.parts:
            part.decay = weight_decay * part.is_named
