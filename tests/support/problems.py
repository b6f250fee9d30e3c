"""Losses small enough to work out by hand, and steps on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.settings import Optimiser


class Quadratic(nn.Module):
    """½ c (w − 1)², whose gradient is c (w − 1); w starts at 2."""

    def __init__(self, curvature: float = 1.0) -> None:
        super().__init__()
        self.curvature = curvature
        self.w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.5 * self.curvature * (self.w - 1.0).square().sum()


class Constant(nn.Module):
    """0, whatever the two weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.tensor([[2.0, -4.0]], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.0 * (self.W.sum() + self.b.sum())


class Steps:
    """A module whose parameters an updater changes, as a replica does it."""

    def __init__(self, settings: Optimiser, module: nn.Module, seed: int = 0) -> None:
        self.module, self.step = module, 0
        self.updater = Updater(settings, dict(module.named_parameters()), seed)

    def objective(self, sets_gradients: bool) -> Tensor:
        with torch.enable_grad():
            loss: Tensor = self.module()
            if sets_gradients:
                self.module.zero_grad()
                loss.backward()
        return loss.detach()

    def take(self) -> float:
        """One step, and its rate."""
        self.objective(sets_gradients=True)
        self.step += 1
        return self.updater.step(self.step - 1, self.objective)


def path(settings: Optimiser, n_steps: int, module: nn.Module | None = None) -> list[float]:
    """The one weight after each step."""
    steps, found = Steps(settings, module or Quadratic()), []
    for _ in range(n_steps):
        steps.take()
        (w,) = steps.module.parameters()
        found.append(w.item())
    return found


def no_loss(sets_gradients: bool) -> Tensor:
    """For rules that must not ask."""
    raise AssertionError("the loss was evaluated again")
