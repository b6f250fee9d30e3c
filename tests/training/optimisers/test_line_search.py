"""Step sizes by hand; what is searched never increases; decay is a part of it."""

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
    """Step size and weight, after each step."""
    return [(steps.take(), steps.module.w.item()) for _ in range(n_steps)]


def test_the_first_try_is_the_learning_rate_and_then_twice_the_last_step():
    """w − 1 is multiplied by 1 − t, which is a decrease below t = 2: 3.2 is tried last, and halved."""
    found = followed(Steps(settings(learning_rate=0.1), Quadratic()), 6)
    factors = [0.9, 0.8, 0.6, 0.2, -0.6, -0.6]
    distances = [math.prod(factors[: i + 1]) for i in range(6)]
    assert [size for size, _ in found] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 1.6], rel=1e-12)
    assert [w for _, w in found] == pytest.approx([1 + distance for distance in distances], rel=1e-12)


def test_a_step_that_decreases_nothing_is_halved():
    """t = 2 leads from 2 to 0, where the loss is the same; t = 1 to the minimum, where there is nothing left to do."""
    steps = Steps(settings(learning_rate=2.0), Quadratic())
    assert followed(steps, 3) == [(1.0, 1.0), (0.0, 1.0), (0.0, 1.0)]


def test_decay_is_a_part_of_what_decreases():
    """f = ½ (w − 1)² + ½ · ½ w². At 2 the gradient is 1 + 1: t = 1 leads to 0, f from 1.5 to 0.5. There it is −1, and
    t = 2 leads back to 2; t = 1 to 1, where f is 0.25."""
    steps = Steps(settings(learning_rate=1.0, weight_decay=0.5), Quadratic())
    assert followed(steps, 2) == [(1.0, 0.0), (1.0, 1.0)]


def test_only_decaying_weights_are_searched_with_decay():
    """f is ½ · ½ ‖W‖², W's gradient W / 2: t = 1 halves W, and b, which would double what there is to gain, stays."""
    steps = Steps(settings(learning_rate=1.0, weight_decay=0.5, decay_on=("W",)), Constant())
    assert steps.take() == 1.0
    assert steps.module.W.tolist() == [[1.0, -2.0]]
    assert steps.module.b.tolist() == [3.0]


def test_where_the_gradient_vanishes_nothing_ever_happens():
    """Not even to the step size, which doubles wherever it is accepted."""
    module = Quadratic()
    with torch.no_grad():
        module.w.fill_(1.0)
    steps = Steps(settings(learning_rate=0.1), module)
    assert followed(steps, 2000) == [(0.0, 1.0)] * 2000
    assert steps.updater.tensors()["first step size"].item() == 0.1


class Misleading(nn.Module):
    """A loss that is lowest where it starts, though its gradient says otherwise."""

    def __init__(self, elsewhere: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([2.0]))
        self.elsewhere, self.asked = elsewhere, 0

    def forward(self) -> Tensor:
        self.asked += 1
        value = 0.0 if self.w.item() == 2.0 else self.elsewhere
        return value + (self.w - self.w.detach()).sum()


@pytest.mark.parametrize("elsewhere", [1.0, float("inf"), float("nan")])
def test_weights_stay_where_no_step_is_good_enough(elsewhere):
    steps = Steps(settings(learning_rate=1.0), Misleading(elsewhere))
    assert followed(steps, 1) == [(0.0, 2.0)]
    assert steps.module.asked == 1 + 1 + (HALVINGS + 1)  # for the gradient, where it is, and at every try
    assert steps.updater.tensors()["first step size"].item() == 1.0


class Falling(nn.Module):
    """A loss without a bottom, −w: every step is good enough, and its size doubles."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        return -self.w.sum()


def test_the_step_size_doubles_no_further_than_float32_goes():
    steps = Steps(settings(learning_rate=1e30), Falling())
    sizes = [steps.take() for _ in range(60)]
    assert steps.updater.tensors()["first step size"].item() <= LARGEST
    assert max(sizes) > 1e37


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", "hinge", "stablemax"])
@pytest.mark.parametrize("arithmetic", ["reduced", "plain"])
@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_training_never_increases_what_is_searched(weight_decay, arithmetic, loss):
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
    found = []
    for _ in range(40):
        squares = sum(weight.detach().double().square().sum().item() for weight in replica.model.parameters())
        found.append(replica.evaluate()[0, 0].item() + 0.5 * weight_decay * squares)
        replica.update(is_observed=False)
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))
    assert found[-1] < 0.9 * found[0]
