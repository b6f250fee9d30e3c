"""Update rules of duels take torch's steps, split into a part by the gradient and a part by decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from general_circuits.duels.update_rules import Stepper

TORCH: dict[str, Any] = {
    "sgd": lambda w, decay: torch.optim.SGD([w], lr=0.1, weight_decay=decay),
    "momentum": lambda w, decay: torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=decay),
    "adam": lambda w, decay: torch.optim.Adam([w], lr=0.1, betas=(0.9, 0.98), weight_decay=decay),
    "adamw": lambda w, decay: torch.optim.AdamW([w], lr=0.1, betas=(0.9, 0.98), weight_decay=decay),
}
DECAYS = (0.0, 0.3)
"""Weight decays of two networks side by side."""


def gradient(weight: torch.Tensor, step: int) -> torch.Tensor:
    return (weight - 1.0) * (1 + 0.5 * (-1) ** step)


@pytest.mark.parametrize("rule", TORCH)
def test_steps_equal_torchs_with_a_decay_for_each_network(rule: str) -> None:
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mine = start.clone()
    stepper = Stepper(rule, 0.1, torch.tensor(DECAYS), [mine])  # type: ignore[arg-type]
    others = [row.clone().requires_grad_() for row in start]
    optimisers = [TORCH[rule](other, decay) for other, decay in zip(others, DECAYS, strict=True)]
    for step in range(20):
        by_gradient, by_decay = stepper.step([mine], [gradient(mine, step)])
        mine += by_gradient[0] + by_decay[0]
        for other, optimiser in zip(others, optimisers, strict=True):
            other.grad = gradient(other.detach(), step)
            optimiser.step()
    for row, other in zip(mine, others, strict=True):
        assert torch.allclose(row, other.detach(), atol=1e-5)


@pytest.mark.parametrize("rule", TORCH)
def test_the_part_by_decay_is_zero_without_decay(rule: str) -> None:
    weight = torch.ones(1, 3)
    _, by_decay = Stepper(rule, 0.1, torch.zeros(1), [weight]).step([weight], [weight])  # type: ignore[arg-type]
    assert not by_decay[0].any()


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adamw"])
def test_the_part_by_the_gradient_equals_the_step_without_decay(rule: str) -> None:
    """Adam with coupled decay is left out: it divides by both parts together."""
    weight = torch.tensor([[1.0, -2.0]])
    with_decay = Stepper(rule, 0.1, torch.tensor([0.5]), [weight])  # type: ignore[arg-type]
    without = Stepper(rule, 0.1, torch.zeros(1), [weight])  # type: ignore[arg-type]
    for _ in range(3):
        mine, _ = with_decay.step([weight], [weight / 3])
        other, _ = without.step([weight], [weight / 3])
        assert torch.allclose(mine[0], other[0])


def test_decoupled_decay_takes_rate_times_decay_of_each_weight() -> None:
    weight = torch.tensor([[1.0, -2.0]])
    _, by_decay = Stepper("adamw", 0.1, torch.tensor([0.5]), [weight]).step([weight], [torch.ones(1, 2)])
    assert torch.allclose(by_decay[0], -0.05 * weight)


def test_sgd_adds_no_more_by_a_batch_alone_than_in_its_step() -> None:
    weight, gradients = torch.zeros(1, 2), [torch.tensor([[1.0, -2.0]])]
    stepper = Stepper("sgd", 0.1, torch.zeros(1), [weight])
    by_gradient, _ = stepper.step([weight], gradients)
    assert torch.equal(stepper.alone(gradients)[0], by_gradient[0])


def test_a_gradient_that_is_followed_by_none_adds_in_all_later_steps_of_momentum_what_is_said() -> None:
    weight, gradients = torch.zeros(1, 2), [torch.tensor([[1.0, -2.0]])]
    stepper = Stepper("momentum", 0.1, torch.zeros(1), [weight])
    stepper.step([weight], [torch.tensor([[5.0, 5.0]])])  # an earlier batch, which is carried along
    other = Stepper("momentum", 0.1, torch.zeros(1), [weight])
    other.step([weight], [torch.tensor([[5.0, 5.0]])])
    total = stepper.step([weight], gradients)[0][0] - other.step([weight], [torch.zeros(1, 2)])[0][0]
    expected = stepper.alone(gradients)[0]
    for _ in range(200):
        none = [torch.zeros(1, 2)]
        total = total + stepper.step([weight], none)[0][0] - other.step([weight], none)[0][0]
    assert torch.allclose(total, expected, rtol=1e-4)
    assert torch.allclose(expected, torch.tensor([[-1.0, 2.0]]))


@pytest.mark.parametrize("rule", TORCH)
def test_a_step_is_that_of_its_batch_alone_where_all_batches_are_alike(rule: str) -> None:
    weight, gradients = torch.zeros(1, 2), [torch.tensor([[1.0, -2.0]])]
    stepper = Stepper(rule, 0.1, torch.zeros(1), [weight])  # type: ignore[arg-type]
    for _ in range(200):
        by_gradient, _ = stepper.step([weight], gradients)
    assert torch.allclose(stepper.alone(gradients)[0], by_gradient[0], rtol=1e-3)


@pytest.mark.parametrize("rule", TORCH)
def test_a_batch_without_gradients_adds_nothing_alone_whatever_is_carried(rule: str) -> None:
    weight = torch.zeros(1, 2)
    stepper = Stepper(rule, 0.1, torch.zeros(1), [weight])  # type: ignore[arg-type]
    stepper.step([weight], [torch.ones(1, 2)])
    by_gradient, _ = stepper.step([weight], [torch.zeros(1, 2)])
    assert by_gradient[0].any() == (rule != "sgd")
    assert not stepper.alone([torch.zeros(1, 2)])[0].any()
