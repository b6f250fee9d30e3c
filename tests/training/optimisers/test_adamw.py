"""AdamW at worked values, and against torch's own class."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from builders import optimiser_settings
from problems import assert_bytes_of_torchs_class, path, random_weights

from general_circuits.training.optimisers.updater import Updater

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])


@ARITHMETIC
def test_the_first_step_at_worked_values(arithmetic):
    """The gradient is 1, and decay is beside it: 2 · (1 − 0.1 · 0.5) − 0.1 · 1 / (1 + 0.25)."""
    settings = optimiser_settings(learning_rate=0.1, warm_up=0, weight_decay=0.5, epsilon=0.25, arithmetic=arithmetic)
    assert (settings.optimiser, settings.decay) == ("adamw", "decoupled")
    assert path(settings, 1) == pytest.approx([1.82], rel=1e-12)


@ARITHMETIC
@pytest.mark.parametrize("decay", ["decoupled", "coupled"])
def test_decay_and_not_the_name_says_whether_decay_is_decoupled(decay, arithmetic):
    adamw, adam = (
        path(optimiser_settings(optimiser=name, decay=decay, arithmetic=arithmetic), 5) for name in ("adamw", "adam")
    )
    assert adamw == adam


@ARITHMETIC
@pytest.mark.parametrize(("decay", "kind"), [("decoupled", torch.optim.AdamW), ("coupled", torch.optim.Adam)])
def test_every_step_has_the_bytes_of_torchs_own_class(decay, kind, arithmetic):
    settings = optimiser_settings(optimiser="adamw", decay=decay, arithmetic=arithmetic)
    betas = settings.beta1, settings.beta2
    options = {"betas": betas, "eps": settings.epsilon, "weight_decay": settings.weight_decay}
    torchs = partial(kind, fused=settings.arithmetic == "reduced", foreach=False, **options)
    assert_bytes_of_torchs_class(settings, torchs)


def test_two_moments_of_every_weight_are_remembered_and_start_at_zero():
    remembered = Updater(optimiser_settings(optimiser="adamw"), random_weights(0), seed=0).tensors()
    assert list(remembered) == [f"moment {i} of {name}" for i in range(2) for name in ("W", "b")]
    assert all((moment == 0).all() for moment in remembered.values())
