"""Gaussian noise has its deviation, Grokfast has worked values, and both act before decay."""

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
    """Return the noise that is added to a gradient of zeros, (step, coordinate)."""
    noise, draws = Noise(deviation, seed), []
    for _ in range(n_steps):
        gradient = torch.zeros(n)
        noise.add([gradient])
        draws.append(gradient)
    return torch.stack(draws)


@pytest.mark.parametrize("deviation", [1e-3, 0.5, 20.0])
def test_noise_has_its_deviation_and_mean_zero_and_steps_are_independent(deviation):
    """Each bound is four standard errors of 10⁵ draws: σ / √10⁵, σ / √(2 · 10⁵), and 1 / √10⁵ for a correlation."""
    first, second = noises(deviation, seed=0, n_steps=2)
    for draws in (first, second):
        assert abs(draws.mean().item()) < 0.0127 * deviation
        assert draws.std().item() == pytest.approx(deviation, rel=0.009)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 0.0127


def test_every_replica_has_its_own_stream_of_noise():
    generator = torch.Generator().manual_seed(stream_seed(3, "noise"))
    assert torch.equal(noises(1.0, 3, 1, n=50)[0], torch.randn(50, generator=generator))
    assert not torch.equal(noises(1.0, 3, 1), noises(1.0, 4, 1))


def test_a_step_goes_along_the_gradient_with_its_noise():
    """Both steps lead to w − rate · (w − 1 + σ · draw)."""
    generator = torch.Generator().manual_seed(stream_seed(7, "noise"))
    steps = Steps(optimiser_settings(**PLAIN, gradient_noise=0.5), Quadratic(), seed=7)
    w = 2.0
    for _ in range(2):
        draw = torch.randn(1, generator=generator, dtype=torch.float64).item()
        w -= 0.1 * (w - 1.0 + 0.5 * draw)
        steps.take()
        assert steps.module.w.item() == pytest.approx(w, rel=1e-12)


def test_grokfast_at_worked_values():
    """Here α = ½ and λ = 2.

    - Gradient 1, mean 1: 2 − 0.1 · (1 + 2).
    - Gradient 0.7, mean 0.5 + 0.35: 1.7 − 0.1 · (0.7 + 1.7).
    - Gradient 0.46, mean 0.425 + 0.23: 1.46 − 0.1 · (0.46 + 1.31).
    """
    settings = optimiser_settings(**PLAIN, grokfast_alpha=0.5, grokfast_lambda=2.0)
    assert path(settings, 3) == pytest.approx([1.7, 1.46, 1.283], rel=1e-12)


def test_coupled_decay_is_not_in_grokfasts_mean():
    """The first step is 2 − 0.1 · (3 + 1), with a coupled decay of ½.

    Then the gradient is 0.6, the mean 0.5 + 0.3 and decay 0.8: 1.6 − 0.1 · (0.6 + 1.6 + 0.8).
    """
    changes = {"weight_decay": 0.5, "grokfast_alpha": 0.5, "grokfast_lambda": 2.0}
    assert path(optimiser_settings(**(PLAIN | changes)), 2) == pytest.approx([1.6, 1.3], rel=1e-12)


def test_noise_is_in_grokfasts_mean():
    """The mean for α = 0 is the last gradient, so λ = 1 doubles the gradient together with its noise."""
    changes = {"gradient_noise": 0.5, "grokfast_alpha": 0.0, "grokfast_lambda": 1.0}
    doubled = path(optimiser_settings(**PLAIN, **changes), 1)
    single = path(optimiser_settings(**PLAIN, gradient_noise=0.5), 1)
    assert doubled[0] - 2.0 == pytest.approx(2 * (single[0] - 2.0), rel=1e-12)


def test_without_noise_and_grokfast_nothing_is_remembered():
    updater = Updater(optimiser_settings(**PLAIN), dict(Constant().named_parameters()), seed=0)
    assert updater.tensors() == {}


def test_means_and_the_state_of_the_generator_are_remembered():
    settings = optimiser_settings(**PLAIN, gradient_noise=0.5, grokfast_lambda=2.0)
    weights = {"W": nn.Parameter(torch.ones(2, 3)), "b": nn.Parameter(torch.ones(3))}
    remembered = Updater(settings, weights, seed=0).tensors()
    assert {name: tuple(tensor.shape) for name, tensor in remembered.items() if name != "noise"} == {
        "mean gradient of W": (2, 3),
        "mean gradient of b": (3,),
    }
    assert "noise" in remembered
