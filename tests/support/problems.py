"""Losses small enough to work out by hand, and steps of an update rule on them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from general_circuits.training.optimisers.updater import Updater
from general_circuits.training.settings import Optimiser


class Quadratic(nn.Module):
    """The loss ½ c (w − 1)², whose gradient is c (w − 1); w starts at 2."""

    def __init__(self, curvature: float = 1.0) -> None:
        super().__init__()
        self.curvature = curvature
        self.w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.5 * self.curvature * (self.w - 1.0).square().sum()


class Constant(nn.Module):
    """A loss of 0 for all values of its two weights, so only decay can change them."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.tensor([[2.0, -4.0]], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))

    def forward(self) -> Tensor:
        return 0.0 * (self.W.sum() + self.b.sum())


class Steps:
    """A module whose parameters an updater changes step by step, as a replica does."""

    def __init__(self, settings: Optimiser, module: nn.Module, seed: int = 0) -> None:
        self.module, self.step = module, 0
        self.updater = Updater(settings, dict(module.named_parameters()), seed)

    def objective(self, sets_gradients: bool) -> Tensor:
        """Return the loss, and set the gradients if told to."""
        with torch.enable_grad():
            loss: Tensor = self.module()
            if sets_gradients:
                self.module.zero_grad()
                loss.backward()
        return loss.detach()

    def take(self) -> float:
        """Take one step and return its step size."""
        self.objective(sets_gradients=True)
        self.step += 1
        return self.updater.step(self.step - 1, self.objective)


def path(settings: Optimiser, n_steps: int, module: nn.Module | None = None) -> list[float]:
    """Return the only weight of a module after each step."""
    steps, values = Steps(settings, module or Quadratic()), []
    for _ in range(n_steps):
        steps.take()
        (w,) = steps.module.parameters()
        values.append(w.item())
    return values


def path_by_hand(settings: Optimiser, n_steps: int, direction: Callable[[int, float], float]) -> list[float]:
    """Return the weight of `Quadratic` after each step, from the definitions of warm-up and decay.

    Args:
        settings: settings of the rule.
        n_steps: number of steps.
        direction: takes the number of the step, from 1, and the gradient; the weight moves by −rate times its value.
    """
    w, values = 2.0, []
    for t in range(1, n_steps + 1):
        rate = settings.learning_rate * min(1.0, t / settings.warm_up)
        gradient = w - 1.0
        if settings.decay == "coupled":
            gradient += settings.weight_decay * w
        else:
            w -= rate * settings.weight_decay * w
        w -= rate * direction(t, gradient)
        values.append(w)
    return values


def no_loss(sets_gradients: bool) -> Tensor:
    """Fail: most rules must not evaluate the loss again."""
    raise AssertionError("the loss was evaluated again")


def random_weights(seed: int) -> dict[str, nn.Parameter]:
    """Return a random matrix and a random bias, by name, in float32."""
    generator = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in (("W", (5, 7)), ("b", (3,)))}


def give_gradients(to: dict[str, nn.Parameter], step: int) -> None:
    """Set the gradients of such weights to random ones, the same for every call with this step."""
    for name, gradient in random_weights(1000 + step).items():
        to[name].grad = gradient.detach()


def assert_bytes_of_torchs_class(
    settings: Optimiser, optimiser: Callable[..., torch.optim.Optimizer], shrinks_first: bool = False
) -> None:
    """Check that each of six steps gives the bytes that torch's class gives.

    Args:
        settings: settings of the rule.
        optimiser: makes torch's optimiser of the weights, with a learning rate that is then set at each step.
        shrinks_first: whether the weights shrink by rate × decay before torch's step.
    """
    ours, theirs = random_weights(0), random_weights(0)
    updater, expected = Updater(settings, ours, seed=0), optimiser(theirs.values(), lr=1.0)
    for step in range(6):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        rate = updater.step(step, no_loss)
        expected.param_groups[0]["lr"] = rate
        if shrinks_first:
            with torch.no_grad():
                for weight in theirs.values():
                    weight.mul_(1.0 - rate * settings.weight_decay)
        expected.step()
        for name, weight in ours.items():
            assert torch.equal(weight, theirs[name]), (name, step)
