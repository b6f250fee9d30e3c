"""Adam and SGD at worked values, by hand, and against torch's own classes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from builders import optimiser_settings
from problems import Quadratic, no_loss, path
from torch import Tensor, nn

from general_circuits.training.optimisers.updater import Updater

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


def by_hand(settings, steps: int, direction: Callable[[int, float], float]) -> list[float]:
    """w after each step, warmed up and decayed; the direction is a function of the step, from 1, and the gradient."""
    w, found = 2.0, []
    for t in range(1, steps + 1):
        rate = settings.learning_rate * min(1.0, t / settings.warm_up)
        gradient = w - 1.0
        if settings.decay == "coupled":
            gradient += settings.weight_decay * w
        else:
            w -= rate * settings.weight_decay * w
        w -= rate * direction(t, gradient)
        found.append(w)
    return found


def adam_by_hand(settings, steps: int) -> list[float]:
    """Kingma and Ba 2015; decoupled decay after Loshchilov and Hutter 2019, times the rate as in torch."""
    mean, square = 0.0, 0.0

    def direction(t: int, gradient: float) -> float:
        nonlocal mean, square
        mean = settings.beta1 * mean + (1 - settings.beta1) * gradient
        square = settings.beta2 * square + (1 - settings.beta2) * gradient**2
        return (mean / (1 - settings.beta1**t)) / (math.sqrt(square / (1 - settings.beta2**t)) + settings.epsilon)

    return by_hand(settings, steps, direction)


def sgd_by_hand(settings, steps: int) -> list[float]:
    velocity = 0.0

    def direction(t: int, gradient: float) -> float:
        nonlocal velocity
        velocity = settings.momentum * velocity + gradient
        return velocity

    return by_hand(settings, steps, direction)


@ARITHMETIC
@pytest.mark.parametrize(
    ("changes", "first"),
    [
        # gradient 1; 2 · (1 − 0.1 · 0.5) − 0.1 · 1 / (1 + 0.25)
        ({"optimiser": "adamw", "decay": "decoupled"}, 1.82),
        # gradient 1 + 0.5 · 2; 2 − 0.1 · 2 / (2 + 0.25)
        ({"optimiser": "adam", "decay": "coupled"}, 2 - 0.2 / 2.25),
        # as adamw: beside the gradient, whichever name it goes by
        ({"optimiser": "adam", "decay": "decoupled"}, 1.82),
    ],
)
def test_adams_first_step_at_worked_values(changes, first, arithmetic):
    settings = optimiser_settings(
        learning_rate=0.1, warm_up=0, weight_decay=0.5, epsilon=0.25, arithmetic=arithmetic, **changes
    )
    assert path(settings, 1) == pytest.approx([first], rel=1e-12)


@ARITHMETIC
@pytest.mark.parametrize(
    ("decay", "momentum", "expected"),
    [
        # Without momentum the two are one update: w − rate · (gradient + decay · w).
        ("coupled", 0.0, [1.8, 1.63]),
        ("decoupled", 0.0, [1.8, 1.63]),
        # Gradients 2 and 1.7, velocities 2 and 3.5: decay has momentum too.
        ("coupled", 0.9, [1.8, 1.45]),
        # Gradients 1 and 0.8, velocities 1 and 1.7: it has none.
        ("decoupled", 0.9, [1.8, 1.54]),
    ],
)
def test_sgds_first_steps_at_worked_values(decay, momentum, expected, arithmetic):
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
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_later_steps_follow_the_recurrences(optimiser, decay, arithmetic):
    settings = optimiser_settings(
        optimiser=optimiser,
        decay=decay,
        learning_rate=0.3,
        warm_up=4,
        weight_decay=0.5,
        beta1=0.7,
        beta2=0.8,
        epsilon=0.25,
        momentum=0.9 if optimiser == "sgd" else 0.0,
        arithmetic=arithmetic,
    )
    by_hand = sgd_by_hand if optimiser == "sgd" else adam_by_hand
    assert path(settings, 10) == pytest.approx(by_hand(settings, 10), rel=1e-10)


@ARITHMETIC
def test_without_decay_decoupled_and_coupled_are_the_same_update(arithmetic):
    for optimiser in ("adam", "sgd"):
        both = [
            path(optimiser_settings(optimiser=optimiser, decay=decay, weight_decay=0.0, arithmetic=arithmetic), 5)
            for decay in ("decoupled", "coupled")
        ]
        assert both[0] == both[1]


def test_the_rate_warms_up_linearly_and_then_stays():
    settings = optimiser_settings(learning_rate=0.8, warm_up=4)
    rates = [settings.rate(step) for step in range(7)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    at_once = dataclasses.replace(settings, warm_up=0)
    assert [at_once.rate(step) for step in range(3)] == [0.8, 0.8, 0.8]


def test_a_step_tells_its_rate():
    module = Quadratic()
    module().backward()
    updater = Updater(
        optimiser_settings(optimiser="sgd", learning_rate=0.8, warm_up=4), dict(module.named_parameters()), seed=0
    )
    assert [updater.step(step, no_loss) for step in (0, 1, 9)] == pytest.approx([0.2, 0.4, 0.8])


EVERY_RULE = pytest.mark.parametrize(
    ("optimiser", "decay", "momentum"),
    [
        ("adamw", "decoupled", 0.0),
        ("adamw", "coupled", 0.0),
        ("adam", "decoupled", 0.0),
        ("adam", "coupled", 0.0),
        ("sgd", "coupled", 0.0),
        ("sgd", "decoupled", 0.0),
        ("sgd", "coupled", 0.9),
        ("sgd", "decoupled", 0.9),
    ],
)


def weights(seed: int) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in (("W", (5, 7)), ("b", (3,)))}


def give_gradients(to: dict[str, nn.Parameter], step: int) -> None:
    for name, gradient in weights(1000 + step).items():
        to[name].grad = gradient.detach()


def torchs(settings, of: dict[str, nn.Parameter]) -> torch.optim.Optimizer:
    """The class whose update it should be; torch's SGD has no decoupled decay."""
    fused = settings.arithmetic == "reduced"
    if settings.optimiser == "sgd":
        decay = settings.weight_decay if settings.decay == "coupled" else 0.0
        return torch.optim.SGD(of.values(), lr=1.0, momentum=settings.momentum, weight_decay=decay, fused=fused)
    kind = torch.optim.AdamW if settings.decay == "decoupled" else torch.optim.Adam
    betas = settings.beta1, settings.beta2
    decay = settings.weight_decay
    return kind(of.values(), lr=1.0, betas=betas, eps=settings.epsilon, weight_decay=decay, fused=fused, foreach=False)


@ARITHMETIC
@EVERY_RULE
def test_every_step_has_the_bytes_of_torchs_own_class(optimiser, decay, momentum, arithmetic):
    settings = optimiser_settings(optimiser=optimiser, decay=decay, momentum=momentum, arithmetic=arithmetic)
    ours, theirs = weights(0), weights(0)
    updater, expected = Updater(settings, ours, seed=0), torchs(settings, theirs)
    for step in range(6):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        rate = updater.step(step, no_loss)
        expected.param_groups[0]["lr"] = rate
        if optimiser == "sgd" and decay == "decoupled":
            with torch.no_grad():
                for weight in theirs.values():
                    weight.mul_(1.0 - rate * settings.weight_decay)
        expected.step()
        for name, weight in ours.items():
            assert torch.equal(weight, theirs[name]), (name, step)


@EVERY_RULE
def test_fused_and_plain_updates_are_equal_to_rounding(optimiser, decay, momentum):
    found = []
    for arithmetic in ("reduced", "plain"):
        of = weights(0)
        settings = optimiser_settings(optimiser=optimiser, decay=decay, momentum=momentum, arithmetic=arithmetic)
        updater = Updater(settings, of, seed=0)
        for step in range(6):
            give_gradients(of, step)
            updater.step(step, no_loss)
        found.append(of)
    for name, weight in found[0].items():
        torch.testing.assert_close(weight, found[1][name], rtol=1e-6, atol=1e-6)


@ARITHMETIC
@EVERY_RULE
@pytest.mark.parametrize("before", [0, 1, 4])
def test_an_update_goes_on_from_what_was_remembered_with_equal_bytes(before, optimiser, decay, momentum, arithmetic):
    settings = optimiser_settings(optimiser=optimiser, decay=decay, momentum=momentum, arithmetic=arithmetic)
    first = weights(0)
    updater = Updater(settings, first, seed=0)
    for step in range(before):
        give_gradients(first, step)
        updater.step(step, no_loss)
    second = {name: nn.Parameter(weight.detach().clone()) for name, weight in first.items()}
    restored = Updater(settings, second, seed=0)
    restored.restore({name: tensor.clone() for name, tensor in updater.tensors().items()}, before)
    for step in range(before, before + 3):
        for of, by in ((first, updater), (second, restored)):
            give_gradients(of, step)
            by.step(step, no_loss)
        assert all(torch.equal(weight, second[name]) for name, weight in first.items())


@pytest.mark.parametrize(
    ("settings", "n_moments"),
    [({"optimiser": "adamw"}, 2), ({"optimiser": "sgd"}, 0), ({"optimiser": "sgd", "momentum": 0.9}, 1)],
)
def test_what_is_remembered_is_as_much_as_the_rule_needs(settings: dict, n_moments: int):
    remembered: dict[str, Tensor] = Updater(optimiser_settings(**settings), weights(0), seed=0).tensors()
    assert list(remembered) == [f"moment {i} of {name}" for i in range(n_moments) for name in ("W", "b")]
    assert all((moment == 0).all() for moment in remembered.values())
