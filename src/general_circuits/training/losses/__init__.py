"""Losses that training can minimise. Each has its own file, which carries the name that a config uses.

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
    """A loss of logits and labels, with its gradient.

    Attributes:
        of_each: logits (…, example, class), labels (example) → loss of each example (…, example).
        gradient: logits (example, class), labels (example) → derivative of the summed loss by the logits,
            (example, class).
    """

    of_each: Callable[[Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor], Tensor]

    def mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over examples: logits (…, example, class), labels (example) → (…)."""
        return self.of_each(logits, labels).mean(dim=-1)


def names() -> list[str]:
    """Return the names of all losses, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def module_of(name: str) -> str:
    """Return the dotted name of the module that defines this loss."""
    return f"{__name__}.{name}"


def named(name: str) -> Loss:
    """Return the loss with this name."""
    loss: Loss = importlib.import_module(module_of(name)).LOSS
    return loss


def by_autograd(of_each: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Return a loss whose gradient autograd computes: `of_each` as in `Loss`."""

    def gradient(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.enable_grad():  # training calls this where gradients are off
            leaf = logits.detach().requires_grad_()
            return torch.autograd.grad(of_each(leaf, labels).sum(), leaf)[0]

    return Loss(of_each, gradient)
