"""Weights that decay: the names that `decay_on` selects, and their decay in every rule."""

from __future__ import annotations

import re

import pytest
import torch
from builders import model_settings, optimiser_settings
from problems import Constant, Steps, no_loss
from torch import nn

from general_circuits.models.build import build
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.optimisers.decay import decay_groups
from general_circuits.training.optimisers.updater import Updater

RULES = [
    ("adamw", "decoupled", 0.0),
    ("adam", "coupled", 0.0),
    ("sgd", "coupled", 0.9),
    ("sgd", "decoupled", 0.9),
]


def decaying(*patterns: str) -> list[str]:
    """Return the names of the weights that decay, in a network of two layers."""
    model = build(model_settings(n_layers=2), Vocabulary(2, 5, 5))
    settings = optimiser_settings(decay_on=patterns or "all")
    parts = decay_groups(settings, dict(model.named_parameters()))
    assert sum(len(part.weights) for part in parts) == len(list(model.parameters()))
    return [name for part in parts if part.decay for name in part.weights]


def test_all_selects_every_weight():
    assert decaying() == [name for name, _ in build(model_settings(n_layers=2), Vocabulary(2, 5, 5)).named_parameters()]


def test_patterns_match_names_as_a_shell_does():
    assert decaying("embed.W_E") == ["embed.W_E"]
    assert decaying("*.W_in", "unembed.*") == ["blocks.0.mlp.W_in", "blocks.1.mlp.W_in", "unembed.W_U"]
    assert decaying("blocks.*.mlp.*") == [f"blocks.{i}.mlp.{leaf}" for i in (0, 1) for leaf in WEIGHTS_OF_MLP]
    assert decaying("blocks.[1-9].mlp.b_?n") == ["blocks.1.mlp.b_in"]


WEIGHTS_OF_MLP = ("W_in", "b_in", "W_out", "b_out")


@pytest.mark.parametrize("pattern", ["embed.w_e", "W_E", "blocks.*.ln1.*", ""])
def test_a_pattern_that_matches_no_weight_is_refused_with_a_list_of_the_names(pattern):
    message = f"decay_on = {pattern!r}: matches no weight of the network; it has embed.W_E, pos_embed.W_pos, blocks.0."
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        decaying("embed.W_E", pattern)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_only_named_weights_shrink_at_worked_values(decay):
    """The loss has no gradient, so a step multiplies W by 1 − 0.1 · 0.5."""
    settings = optimiser_settings(
        optimiser="sgd", decay=decay, decay_on=("W",), learning_rate=0.1, warm_up=0, weight_decay=0.5
    )
    steps = Steps(settings, Constant())
    steps.take()
    assert steps.module.W.tolist() == [pytest.approx([1.9, -3.8], rel=1e-12)]
    assert steps.module.b.tolist() == [3.0]


def trained(**changes) -> dict[str, nn.Parameter]:
    """Return two weights after five steps with given gradients."""
    generator = torch.Generator().manual_seed(0)
    weights = {name: nn.Parameter(torch.randn(4, 9, generator=generator)) for name in ("W", "b")}
    updater = Updater(optimiser_settings(**changes), weights, seed=0)
    for step in range(5):
        for weight in weights.values():
            weight.grad = torch.randn(4, 9, generator=generator)
        updater.step(step, no_loss)
    return weights


@pytest.mark.parametrize("arithmetic", ["reduced", "plain"])
@pytest.mark.parametrize(("optimiser", "decay", "momentum"), RULES)
def test_decaying_weights_change_as_if_all_decayed_and_others_as_if_none_did(optimiser, decay, momentum, arithmetic):
    rule = {"optimiser": optimiser, "decay": decay, "momentum": momentum, "arithmetic": arithmetic}
    one_decays, all_decay, none_decays = (
        trained(**rule, **changes) for changes in ({"decay_on": ("W",)}, {}, {"weight_decay": 0.0})
    )
    assert torch.equal(one_decays["W"], all_decay["W"])
    assert torch.equal(one_decays["b"], none_decays["b"])
    assert not torch.equal(all_decay["b"], none_decays["b"])
