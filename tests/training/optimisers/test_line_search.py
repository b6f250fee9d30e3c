"""Step sizes by hand; the searched function never increases, and decay is a part of it."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from builders import VOCABULARY, addition, condition, optimiser_settings
from problems import Constant, Quadratic, Steps
from torch import Tensor, nn

from general_circuits.training.optimisers.line_search import HALVINGS, LARGEST
from general_circuits.training.replica import Replica


def settings(**changes):
    usual = {"optimiser": "line_search", "decay": "coupled", "warm_up": 0, "batch_size": "full", "weight_decay": 0.0}
    return optimiser_settings(**(usual | changes))


def followed(steps: Steps, n_steps: int) -> list[tuple[float, float]]:
    """Return step size and weight after each step."""
    return [(steps.take(), steps.module.w.item()) for _ in range(n_steps)]


def test_the_first_try_is_the_learning_rate_and_then_twice_the_last_step():
    """A step multiplies w − 1 by 1 − t, which is a decrease for t < 2. The last step tries 3.2 and halves it."""
    path = followed(Steps(settings(learning_rate=0.1), Quadratic()), 6)
    factors = [0.9, 0.8, 0.6, 0.2, -0.6, -0.6]
    distances = [math.prod(factors[: i + 1]) for i in range(6)]
    assert [size for size, _ in path] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 1.6], rel=1e-12)
    assert [w for _, w in path] == pytest.approx([1 + distance for distance in distances], rel=1e-12)


def test_a_step_that_decreases_nothing_is_halved():
    """A step t = 2 leads from 2 to 0, where the loss is the same. A step t = 1 leads to the minimum, where w stays."""
    steps = Steps(settings(learning_rate=2.0), Quadratic())
    assert followed(steps, 3) == [(1.0, 1.0), (0.0, 1.0), (0.0, 1.0)]


def test_decay_is_a_part_of_what_decreases():
    """The searched function is f = ½ (w − 1)² + ½ · ½ w².

    At 2 its gradient is 1 + 1, so t = 1 leads to 0, and f falls from 1.5 to 0.5. There the gradient is −1. A step t = 2
    would lead back to 2; t = 1 leads to 1, where f is 0.25.
    """
    steps = Steps(settings(learning_rate=1.0, weight_decay=0.5), Quadratic())
    assert followed(steps, 2) == [(1.0, 0.0), (1.0, 1.0)]


def test_only_decaying_weights_are_searched_with_decay():
    """The searched function is ½ · ½ ‖W‖², with gradient W / 2, so t = 1 halves W. The weight b does not decay."""
    steps = Steps(settings(learning_rate=1.0, weight_decay=0.5, decay_on=("W",)), Constant())
    assert steps.take() == 1.0
    assert steps.module.W.tolist() == [[1.0, -2.0]]
    assert steps.module.b.tolist() == [3.0]


def test_a_vanishing_gradient_changes_neither_weights_nor_step_size():
    """An accepted step would double the next first try."""
    module = Quadratic()
    with torch.no_grad():
        module.w.fill_(1.0)
    steps = Steps(settings(learning_rate=0.1), module)
    assert followed(steps, 2000) == [(0.0, 1.0)] * 2000
    assert steps.updater.tensors()["first step size"].item() == 0.1


class Misleading(nn.Module):
    """A loss that is smallest at its start, although its gradient is not zero there."""

    def __init__(self, elsewhere: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0]))
        self.elsewhere, self.evaluations = elsewhere, 0

    def forward(self) -> Tensor:
        self.evaluations += 1
        value = 0.0 if self.w.item() == 2.0 else self.elsewhere
        return value + (self.w - self.w.detach()).sum()


@pytest.mark.parametrize("elsewhere", [1.0, float("inf"), float("nan")])
def test_weights_stay_if_no_step_decreases_the_loss_enough(elsewhere):
    steps = Steps(settings(learning_rate=1.0), Misleading(elsewhere))
    assert followed(steps, 1) == [(0.0, 2.0)]
    assert steps.module.evaluations == 1 + 1 + (HALVINGS + 1)  # for the gradient, at the start, and at every try
    assert steps.updater.tensors()["first step size"].item() == 1.0


class Falling(nn.Module):
    """The loss −w, which has no minimum: every step is accepted, and the next one is twice as large."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        return -self.w.sum()


def test_the_step_size_stays_within_float32():
    steps = Steps(settings(learning_rate=1e30), Falling())
    sizes = [steps.take() for _ in range(60)]
    assert steps.updater.tensors()["first step size"].item() <= LARGEST
    assert max(sizes) > 1e37


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", "hinge", "stablemax"])
@pytest.mark.parametrize("arithmetic", ["reduced", "plain"])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_training_never_increases_the_searched_function(weight_decay, arithmetic, loss):
    setting = condition(
        optimiser="line_search",
        decay="coupled",
        warm_up=0,
        batch_size="full",
        learning_rate=100.0,
        weight_decay=weight_decay,
        loss=loss,
        loss_precision="float64",
        arithmetic=arithmetic,
    )
    replica = Replica(setting, addition(), VOCABULARY, seed=0)
    values = []
    for _ in range(40):
        squares = sum(weight.detach().double().square().sum().item() for weight in replica.model.parameters())
        values.append(replica.evaluate()[0, 0].item() + 0.5 * weight_decay * squares)
        replica.update(is_observed=False)
    assert all(later <= earlier for earlier, later in itertools.pairwise(values))
    assert values[-1] < 0.9 * values[0]
