"""Noise of minibatches against exact sums over an epoch, and the length of walks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from general_circuits.training.noise import Walk, decayed_share, epoch_of_batches, of_first_batch

GRADIENTS = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 2.0
"""Gradient of each of 12 examples in the five numbers of both weights, (example, number); their mean is not 0."""


def linear() -> dict[str, nn.Parameter]:
    """Two weights, of two and three numbers."""
    return {
        "u": nn.Parameter(torch.zeros(2, dtype=torch.float64)),
        "v": nn.Parameter(torch.zeros(3, dtype=torch.float64)),
    }


def noise_of(batches: Tensor) -> Tensor:
    """Return the noise of the first batch, (number)."""
    weights = linear()

    def gradients_of(rows: Tensor) -> None:
        mean = GRADIENTS[rows].mean(dim=0)
        weights["u"].grad, weights["v"].grad = mean[:2], mean[2:]

    return torch.cat([*of_first_batch(batches, gradients_of, weights).values()])


def test_noise_is_the_gradient_of_a_batch_less_that_of_all_examples() -> None:
    """Three batches of four examples, in order. The unit is the root mean square of the three norms."""
    batches = torch.arange(12).reshape(3, 4)
    noises = GRADIENTS.reshape(3, 4, 5).mean(dim=1) - GRADIENTS.mean(dim=0)  # (batch, number)
    unit = noises.square().sum(dim=1).mean().sqrt()
    torch.testing.assert_close(noise_of(batches), noises[0] / unit)


@pytest.mark.parametrize("batch", [1, 3, 5, 6])
def test_over_an_epoch_noise_sums_to_zero_and_has_a_mean_square_of_one(batch: int) -> None:
    """Each batch of the epoch comes first in turn, at fixed weights. Two examples are left out for batches of five."""
    batches = epoch_of_batches(12, batch, torch.Generator().manual_seed(1))
    noises = torch.stack([noise_of(batches.roll(-first, dims=0)) for first in range(len(batches))])
    assert noises.sum(dim=0).abs().max() < 1e-12
    assert noises.square().sum(dim=1).mean().item() == pytest.approx(1.0, rel=1e-12)


def test_an_epoch_has_no_example_twice_and_whole_batches_only() -> None:
    batches = epoch_of_batches(12, 5, torch.Generator().manual_seed(1))
    assert batches.shape == (2, 5)
    assert len(batches.unique()) == 10


def test_equal_gradients_have_no_noise() -> None:
    batches = torch.zeros(3, 4, dtype=torch.long)
    assert noise_of(batches).abs().max() < 1e-15


def test_a_walk_is_as_long_as_the_root_of_its_steps_and_ends_at_its_distance() -> None:
    """The group has the norm 5, and a fifth of it is 1. Its first step has the direction of its first draw."""
    start = {"u": torch.tensor([3.0, 0.0], dtype=torch.float64), "v": torch.tensor([4.0], dtype=torch.float64)}
    walk, generator = Walk([start], share=0.2, steps=16), torch.Generator().manual_seed(0)
    place = torch.zeros(3, dtype=torch.float64)
    for made in range(1, 17):
        draws = {name: torch.randn(like.shape, generator=generator, dtype=like.dtype) for name, like in start.items()}
        moves = walk.step(draws)
        place += torch.cat([moves["u"], moves["v"]])
        assert place.norm().item() == pytest.approx(math.sqrt(made / 16), rel=1e-12)
        if made == 1:
            first = torch.cat([draws["u"], draws["v"]])
            torch.testing.assert_close(place, first / first.norm() / 4)


def test_tensors_of_their_own_group_move_in_proportion_to_their_norms() -> None:
    groups = [{"u": torch.tensor([3.0])}, {"v": torch.tensor([4.0])}, {"zero": torch.tensor([0.0])}]
    moves = Walk(groups, share=0.5, steps=4).step({name: torch.tensor([-7.0]) for name in ("u", "v", "zero")})
    assert {name: move.item() for name, move in moves.items()} == pytest.approx({"u": -0.75, "v": -1.0, "zero": 0.0})


def test_a_stretch_is_about_one_where_steps_are_independent() -> None:
    """The sum of n draws of mean square d has about √(n d) as its norm, so a walk is nearly the sum of its draws."""
    like, generator = {"u": torch.ones(10_000)}, torch.Generator().manual_seed(0)
    walk, total = Walk([like], share=1.0, steps=50), torch.zeros(10_000)
    moved = torch.zeros(10_000)
    for _ in range(50):
        draw = torch.randn(10_000, generator=generator)
        total += draw / math.sqrt(50)
        moved += walk.step({"u": draw})["u"]
    torch.testing.assert_close(moved, total, rtol=0.03, atol=1e-3)


def test_decays_share_is_the_product_of_its_steps() -> None:
    assert decayed_share([0.1, 0.2], decay=0.5) == pytest.approx(1 - 0.95 * 0.9)
    assert decayed_share([4e-3] * 50, decay=1.0) == pytest.approx(0.1816, abs=1e-4)
    assert decayed_share([], decay=1.0) == 0.0
