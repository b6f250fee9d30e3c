"""Values and gradients of losses, and logits to evaluate them on."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.training import losses


def value_and_gradient(name: str, logits: list[float], label: int) -> tuple[float, list[float]]:
    """Return the loss of one example and its gradient by the logits, in float64."""
    rows, labels = torch.tensor([logits], dtype=torch.float64), torch.tensor([label])
    loss = losses.named(name)
    return loss.of_each(rows, labels).item(), loss.gradient(rows, labels)[0].tolist()


def random_logits(n: int = 20, n_classes: int = 4, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    """Return Gaussian logits (n, n_classes) in float64 and random labels (n)."""
    generator = torch.Generator().manual_seed(0)
    logits = spread * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(n_classes, (n,), generator=generator)
