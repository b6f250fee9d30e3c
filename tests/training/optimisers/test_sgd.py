"""SGD at worked values, by its recurrences, and against torch's own class."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from builders import optimiser_settings
from problems import assert_bytes_of_torchs_class, path, path_by_hand, random_weights

from general_circuits.training.optimisers.updater import Updater

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


def sgd_by_hand(settings, n_steps: int) -> list[float]:
    """Follow the recurrence v ← momentum · v + g."""
    velocity = 0.0

    def direction(t: int, gradient: float) -> float:
        nonlocal velocity
        velocity = settings.momentum * velocity + gradient
        return velocity

    return path_by_hand(settings, n_steps, direction)


@ARITHMETIC
@pytest.mark.parametrize(
    ("decay", "momentum", "expected"),
    [
        # Without momentum the two are one update: w − rate · (gradient + decay · w).
        ("coupled", 0.0, [1.8, 1.63]),
        ("decoupled", 0.0, [1.8, 1.63]),
        # Gradients 2 and 1.7, velocities 2 and 3.5: decay has momentum too.
        ("coupled", 0.9, [1.8, 1.45]),
        # Gradients 1 and 0.8, velocities 1 and 1.7: decay has no momentum.
        ("decoupled", 0.9, [1.8, 1.54]),
    ],
)
def test_the_first_steps_at_worked_values(decay, momentum, expected, arithmetic):
    settings = optimiser_settings(
        optimiser="sgd",
        decay=decay,
        momentum=momentum,
        learning_rate=0.1,
        warm_up=0,
        weight_decay=0.5,
        arithmetic=arithmetic,
    )
    assert path(settings, 2) == pytest.approx(expected, rel=1e-12)


@ARITHMETIC
@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
def test_later_steps_follow_the_recurrence(decay, arithmetic):
    settings = optimiser_settings(
        optimiser="sgd",
        decay=decay,
        learning_rate=0.3,
        warm_up=4,
        weight_decay=0.5,
        momentum=0.9,
        arithmetic=arithmetic,
    )
    assert path(settings, 10) == pytest.approx(sgd_by_hand(settings, 10), rel=1e-10)


@ARITHMETIC
def test_without_decay_decoupled_and_coupled_are_the_same_update(arithmetic):
    decoupled, coupled = (
        path(optimiser_settings(optimiser="sgd", decay=decay, weight_decay=0.0, arithmetic=arithmetic), 5)
        for decay in ("decoupled", "coupled")
    )
    assert decoupled == coupled


@ARITHMETIC
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
def test_every_step_has_the_bytes_of_torchs_own_class(decay, momentum, arithmetic):
    """torch's class has no decoupled decay, so the weights shrink before its step."""
    settings = optimiser_settings(optimiser="sgd", decay=decay, momentum=momentum, arithmetic=arithmetic)
    coupled = settings.weight_decay if decay == "coupled" else 0.0
    torchs = partial(torch.optim.SGD, momentum=momentum, weight_decay=coupled, fused=arithmetic == "reduced")
    assert_bytes_of_torchs_class(settings, torchs, shrinks_first=decay == "decoupled")


@pytest.mark.parametrize(("momentum", "n_moments"), [(0.0, 0), (0.9, 1)])
def test_a_velocity_is_remembered_only_with_momentum(momentum, n_moments):
    settings = optimiser_settings(optimiser="sgd", momentum=momentum)
    remembered = Updater(settings, random_weights(0), seed=0).tensors()
    assert list(remembered) == [f"moment {i} of {name}" for i in range(n_moments) for name in ("W", "b")]
    assert all((moment == 0).all() for moment in remembered.values())
