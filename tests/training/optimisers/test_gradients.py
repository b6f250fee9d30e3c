"""Noise has the deviation it says; Grokfast by hand; both before decay, and none without being asked for."""

from __future__ import annotations

import pytest
import torch
from builders import optimiser_settings
from problems import Constant, Quadratic, Steps, path
from torch import nn

from general_circuits.seeds import stream_seed
from general_circuits.training.optimisers.gradients import Noise
from general_circuits.training.optimisers.updater import Updater

PLAIN = {"optimiser": "sgd", "decay": "coupled", "learning_rate": 0.1, "warm_up": 0, "weight_decay": 0.0}


def noises(deviation: float, seed: int, n_steps: int, n: int = 100_000) -> torch.Tensor:
    """What is added to a gradient of zeros, (step, coordinate)."""
    noise, found = Noise(deviation, seed), []
    for _ in range(n_steps):
        gradient = torch.zeros(n)
        noise.add([gradient])
        found.append(gradient)
    return torch.stack(found)


@pytest.mark.parametrize("deviation", [1e-3, 0.5, 20.0])
def test_noise_has_its_deviation_and_no_mean_and_steps_have_nothing_in_common(deviation):
    """Of 10⁵ draws, a mean lies within 4 · σ / √10⁵, a deviation within 4 · σ / √(2 · 10⁵), a correlation 4 / √10⁵."""
    first, second = noises(deviation, seed=0, n_steps=2)
    for draws in (first, second):
        assert abs(draws.mean().item()) < 0.0127 * deviation
        assert draws.std().item() == pytest.approx(deviation, rel=0.009)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 0.0127


def test_noise_is_a_stream_of_its_own_for_every_replica():
    generator = torch.Generator().manual_seed(stream_seed(3, "noise"))
    assert torch.equal(noises(1.0, 3, 1, n=50)[0], torch.randn(50, generator=generator))
    assert not torch.equal(noises(1.0, 3, 1), noises(1.0, 4, 1))


def test_a_step_goes_along_the_gradient_with_its_noise():
    """w − rate · (w − 1 + σ · draw), at both steps."""
    generator = torch.Generator().manual_seed(stream_seed(7, "noise"))
    steps = Steps(optimiser_settings(**PLAIN, gradient_noise=0.5), Quadratic(), seed=7)
    w = 2.0
    for _ in range(2):
        draw = torch.randn(1, generator=generator, dtype=torch.float64).item()
        w -= 0.1 * (w - 1.0 + 0.5 * draw)
        steps.take()
        assert steps.module.w.item() == pytest.approx(w, rel=1e-12)


def test_grokfast_at_worked_values():
    """α = ½, λ = 2. Gradient 1, mean 1: 2 − 0.1 · 3. Gradient 0.7, mean 0.5 + 0.35: 1.7 − 0.1 · (0.7 + 1.7).
    Gradient 0.46, mean 0.425 + 0.23: 1.46 − 0.1 · (0.46 + 1.31)."""
    settings = optimiser_settings(**PLAIN, grokfast_alpha=0.5, grokfast_lambda=2.0)
    assert path(settings, 3) == pytest.approx([1.7, 1.46, 1.283], rel=1e-12)


def test_grokfast_sees_no_decay():
    """The same with coupled decay of ½: 2 − 0.1 · (3 + 1). Gradient 0.6, mean 0.5 + 0.3, decay 0.8:
    1.6 − 0.1 · (0.6 + 1.6 + 0.8)."""
    changes = {"weight_decay": 0.5, "grokfast_alpha": 0.5, "grokfast_lambda": 2.0}
    assert path(optimiser_settings(**(PLAIN | changes)), 2) == pytest.approx([1.6, 1.3], rel=1e-12)


def test_grokfast_remembers_noise_too():
    """With α = 0 the mean is the last gradient, so that λ = 1 doubles noise and all."""
    changes = {"gradient_noise": 0.5, "grokfast_alpha": 0.0, "grokfast_lambda": 1.0}
    doubled = path(optimiser_settings(**PLAIN, **changes), 1)
    single = path(optimiser_settings(**PLAIN, gradient_noise=0.5), 1)
    assert doubled[0] - 2.0 == pytest.approx(2 * (single[0] - 2.0), rel=1e-12)


def test_without_being_asked_for_nothing_is_drawn_or_remembered():
    updater = Updater(optimiser_settings(**PLAIN), dict(Constant().named_parameters()), seed=0)
    assert updater.tensors() == {}


def test_what_is_remembered_are_means_and_the_generator():
    settings = optimiser_settings(**PLAIN, gradient_noise=0.5, grokfast_lambda=2.0)
    weights = {"W": nn.Parameter(torch.ones(2, 3)), "b": nn.Parameter(torch.ones(3))}
    remembered = Updater(settings, weights, seed=0).tensors()
    assert {name: tuple(tensor.shape) for name, tensor in remembered.items() if name != "noise"} == {
        "mean gradient of W": (2, 3),
        "mean gradient of b": (3,),
    }
    assert "noise" in remembered
