"""Adam at worked values, by its recurrences, and against torch's own class."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from builders import optimiser_settings
from problems import assert_bytes_of_torchs_class, path, path_by_hand, random_weights

from general_circuits.training.optimisers.updater import Updater

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


def adam_by_hand(settings, n_steps: int) -> list[float]:
    """Follow the recurrences of Kingma and Ba 2015; decoupled decay is that of `path_by_hand`."""
    mean, square = 0.0, 0.0

    def direction(t: int, gradient: float) -> float:
        nonlocal mean, square
        mean = settings.beta1 * mean + (1 - settings.beta1) * gradient
        square = settings.beta2 * square + (1 - settings.beta2) * gradient**2
        return (mean / (1 - settings.beta1**t)) / (math.sqrt(square / (1 - settings.beta2**t)) + settings.epsilon)

    return path_by_hand(settings, n_steps, direction)


@ARITHMETIC
@pytest.mark.parametrize(
    ("decay", "first"),
    [
        # gradient 1 + 0.5 · 2; 2 − 0.1 · 2 / (2 + 0.25)
        ("coupled", 2 - 0.2 / 2.25),
        # gradient 1; 2 · (1 − 0.1 · 0.5) − 0.1 · 1 / (1 + 0.25)
        ("decoupled", 1.82),
    ],
)
def test_the_first_step_at_worked_values(decay, first, arithmetic):
    settings = optimiser_settings(
        optimiser="adam",
        decay=decay,
        learning_rate=0.1,
        warm_up=0,
        weight_decay=0.5,
        epsilon=0.25,
        arithmetic=arithmetic,
    )
    assert path(settings, 1) == pytest.approx([first], rel=1e-12)


@ARITHMETIC
@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
def test_later_steps_follow_the_recurrences(decay, arithmetic):
    settings = optimiser_settings(
        optimiser="adam",
        decay=decay,
        learning_rate=0.3,
        warm_up=4,
        weight_decay=0.5,
        beta1=0.7,
        beta2=0.8,
        epsilon=0.25,
        arithmetic=arithmetic,
    )
    assert path(settings, 10) == pytest.approx(adam_by_hand(settings, 10), rel=1e-10)


@ARITHMETIC
def test_without_decay_decoupled_and_coupled_are_the_same_update(arithmetic):
    decoupled, coupled = (
        path(optimiser_settings(optimiser="adam", decay=decay, weight_decay=0.0, arithmetic=arithmetic), 5)
        for decay in ("decoupled", "coupled")
    )
    assert decoupled == coupled


@ARITHMETIC
def test_without_epsilon_and_decay_the_first_step_is_the_rate_whatever_the_gradient(arithmetic):
    """The mean over the root of the mean square is ±1 after one step."""
    settings = optimiser_settings(
        optimiser="adam", learning_rate=0.1, warm_up=0, weight_decay=0.0, epsilon=0.0, arithmetic=arithmetic
    )
    assert path(settings, 1) == pytest.approx([1.9], rel=1e-12)


@ARITHMETIC
@pytest.mark.parametrize(("decay", "kind"), [("decoupled", torch.optim.AdamW), ("coupled", torch.optim.Adam)])
def test_every_step_has_the_bytes_of_torchs_own_class(decay, kind, arithmetic):
    settings = optimiser_settings(optimiser="adam", decay=decay, arithmetic=arithmetic)
    betas = settings.beta1, settings.beta2
    options = {"betas": betas, "eps": settings.epsilon, "weight_decay": settings.weight_decay}
    torchs = partial(kind, fused=settings.arithmetic == "reduced", foreach=False, **options)
    assert_bytes_of_torchs_class(settings, torchs)


def test_two_moments_of_every_weight_are_remembered_and_start_at_zero():
    remembered = Updater(optimiser_settings(optimiser="adam"), random_weights(0), seed=0).tensors()
    assert list(remembered) == [f"moment {i} of {name}" for i in range(2) for name in ("W", "b")]
    assert all((moment == 0).all() for moment in remembered.values())
