"""Facts that hold for every update rule: its rate, its two arithmetics, its memory, and what a branch inherits."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from builders import optimiser_settings
from problems import Quadratic, Steps, give_gradients, no_loss, random_weights
from torch import nn

from general_circuits.training.optimisers.updater import Updater, module_of

ARITHMETIC = pytest.mark.parametrize("arithmetic", ["reduced", "plain"])

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


@pytest.mark.parametrize("name", ["adam", "adamw", "lbfgs", "line_search", "sgd"])
def test_a_rule_is_defined_in_the_module_of_its_name(name):
    settings = optimiser_settings(optimiser=name, decay="coupled")
    rule = Updater(settings, random_weights(0), seed=0).rule
    assert module_of(name) == f"general_circuits.training.optimisers.{name}"
    assert type(rule).__module__ == module_of("adam" if name == "adamw" else name)


def test_the_rate_warms_up_linearly_and_then_stays():
    settings = optimiser_settings(learning_rate=0.8, warm_up=4)
    rates = [settings.rate(step) for step in range(7)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8])
    at_once = dataclasses.replace(settings, warm_up=0)
    assert [at_once.rate(step) for step in range(3)] == [0.8, 0.8, 0.8]


def test_a_step_returns_its_rate():
    module = Quadratic()
    module().backward()
    updater = Updater(
        optimiser_settings(optimiser="sgd", learning_rate=0.8, warm_up=4), dict(module.named_parameters()), seed=0
    )
    assert [updater.step(step, no_loss) for step in (0, 1, 9)] == pytest.approx([0.2, 0.4, 0.8])


@EVERY_RULE
def test_fused_and_plain_updates_are_equal_to_rounding(optimiser, decay, momentum):
    results = []
    for arithmetic in ("reduced", "plain"):
        weights = random_weights(0)
        settings = optimiser_settings(optimiser=optimiser, decay=decay, momentum=momentum, arithmetic=arithmetic)
        updater = Updater(settings, weights, seed=0)
        for step in range(6):
            give_gradients(weights, step)
            updater.step(step, no_loss)
        results.append(weights)
    fused, plain = results
    for name, weight in fused.items():
        torch.testing.assert_close(weight, plain[name], rtol=1e-6, atol=1e-6)


@ARITHMETIC
@EVERY_RULE
@pytest.mark.parametrize("before", [0, 1, 4])
def test_an_update_goes_on_from_what_was_remembered_with_equal_bytes(before, optimiser, decay, momentum, arithmetic):
    settings = optimiser_settings(optimiser=optimiser, decay=decay, momentum=momentum, arithmetic=arithmetic)
    first = random_weights(0)
    updater = Updater(settings, first, seed=0)
    for step in range(before):
        give_gradients(first, step)
        updater.step(step, no_loss)
    second = {name: nn.Parameter(weight.detach().clone()) for name, weight in first.items()}
    restored = Updater(settings, second, seed=0)
    restored.restore({name: tensor.clone() for name, tensor in updater.tensors().items()}, before)
    for step in range(before, before + 3):
        for weights, rule in ((first, updater), (second, restored)):
            give_gradients(weights, step)
            rule.step(step, no_loss)
        assert all(torch.equal(weight, second[name]) for name, weight in first.items())


# Inheriting


def after_steps(n_steps: int, **changes) -> Updater:
    """Return an updater of random weights after some steps."""
    updater = Updater(optimiser_settings(**changes), random_weights(0), seed=0)
    for step in range(n_steps):
        give_gradients(updater.weights, step)
        updater.step(step, no_loss)
    return updater


def test_a_rule_of_the_same_kind_goes_on_from_the_others_memory():
    parent = after_steps(4)
    branch = Updater(optimiser_settings(learning_rate=0.5), random_weights(0), seed=0)
    branch.inherit(parent, 4)
    assert branch.tensors().keys() == parent.tensors().keys()
    assert all(torch.equal(tensor, parent.tensors()[name]) for name, tensor in branch.tensors().items())


@pytest.mark.parametrize("other", [{"optimiser": "sgd"}, {"optimiser": "sgd", "momentum": 0.9}])
def test_a_rule_of_another_kind_begins_at_the_step_where_it_is_inherited(other):
    """Adam then corrects its means as at its first step: without decay and ε, every weight moves by the rate."""
    parent = after_steps(4, decay="coupled", **other)
    changes = {"learning_rate": 0.125, "warm_up": 0, "weight_decay": 0.0, "epsilon": 0.0}
    branch = Updater(optimiser_settings(**changes), random_weights(0), seed=0)
    branch.inherit(parent, 4)
    before = {name: weight.detach().clone() for name, weight in branch.weights.items()}
    give_gradients(branch.weights, 4)
    branch.restore(branch.tensors(), 4)  # at the same step, which is Adam's first
    branch.step(4, no_loss)
    for name, weight in branch.weights.items():
        distance = (weight.detach() - before[name]).abs()
        torch.testing.assert_close(distance, torch.full_like(distance, 0.125), rtol=1e-5, atol=1e-6)


def test_grokfast_that_a_branch_switches_on_begins_with_its_own_first_gradient():
    """The parent's four gradients are not in its mean."""
    parent = after_steps(4, optimiser="sgd", decay="coupled")
    changes = {"optimiser": "sgd", "decay": "coupled", "grokfast_lambda": 1.0}
    branch = Updater(optimiser_settings(**changes), random_weights(0), seed=0)
    branch.inherit(parent, 4)
    give_gradients(branch.weights, 4)
    gradients = {name: weight.grad.clone() for name, weight in branch.weights.items()}
    branch.step(4, no_loss)
    for name, gradient in gradients.items():
        assert torch.equal(branch.tensors()[f"mean gradient of {name}"], gradient)


def test_momentum_that_a_branch_switches_on_begins_at_zero():
    """Plain SGD remembers nothing, so it has no velocity to inherit."""
    branch = Updater(optimiser_settings(optimiser="sgd", momentum=0.9), random_weights(0), seed=0)
    branch.inherit(after_steps(4, optimiser="sgd"), 4)
    assert all((tensor == 0).all() for tensor in branch.tensors().values())


def test_another_rate_and_decay_are_used_from_the_next_update_on():
    """The loss is ½ (w − 1)². First 2 − 0.1 · (1 + 0.5 · 2) = 1.8. Then 1.8 − 0.2 · (0.8 + 0.25 · 1.8) = 1.55."""
    changes = {"optimiser": "sgd", "decay": "coupled", "learning_rate": 0.1, "warm_up": 0, "weight_decay": 0.5}
    steps = Steps(optimiser_settings(**changes), Quadratic())
    steps.take()
    assert steps.module.w.item() == pytest.approx(1.8, rel=1e-12)
    steps.updater.use(0.2, 0.25)
    assert steps.take() == 0.2
    assert steps.module.w.item() == pytest.approx(1.55, rel=1e-12)


def test_weights_outside_decay_on_get_no_decay_from_a_change_of_decay():
    updater = Updater(optimiser_settings(decay_on=("W",)), random_weights(0), seed=0)
    updater.use(0.2, 0.25)
    assert [(list(part.weights), part.decay) for part in updater.rule.parts] == [(["W"], 0.25), (["b"], 0.0)]
