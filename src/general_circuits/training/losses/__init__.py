"""Losses: what training minimises. Each has a file of its own, under the name that a config gives.

A job imports its own loss by name, so a change to one loss retrains only the conditions that use it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """One loss of logits and labels.

    Attributes:
        of_each: logits (…, example, class), labels (example) → loss of each example (…, example).
        gradient: logits (example, class), labels (example) → gradient of their sum in the logits, (example, class).
    """

    of_each: Callable[[Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over examples: logits (…, example, class), labels (example) → (…)."""
        return self.of_each(logits, labels).mean(dim=-1)


def names() -> list[str]:
    """Return every loss's name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def module_of(name: str) -> str:
    """Return the dotted name of the module that has this loss."""
    return f"{__name__}.{name}"


def named(name: str) -> Loss:
    """Return the loss that a config calls by this name."""
    loss: Loss = importlib.import_module(module_of(name)).LOSS
    return loss


def by_autograd(of_each: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Make a loss whose gradient autograd computes."""

    def gradient(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            return torch.autograd.grad(of_each(leaf, labels).sum(), leaf)[0]

    return Loss(of_each, gradient)
