"""Conductance against Captum's. It is complete where the whole input flows through the layer."""

from __future__ import annotations

import pytest
import torch
from builders import random_examples, random_perceptron, random_questions, random_transformer
from saliency_builders import EFFORT, EVERY_TARGET, at

from general_circuits.measurements.saliency import conductance as module
from general_circuits.measurements.saliency.conductance import conductance
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.network import Place


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_conductance_through_the_logits_equals_captums(n_layers: int, activation: str) -> None:
    model, examples = random_transformer(n_layers=n_layers, activation=activation, biases="all"), random_examples()
    layer = at(model, examples, Place(n_layers - 1))
    ends = model.blank(examples.tokens).detach(), model.read(examples.tokens).detach()
    fast = module._through_logits(layer, EVERY_TARGET, *ends, steps=20)
    captums = module._by_captum(layer, EVERY_TARGET, *ends, steps=20)
    for ours, theirs in zip(fast, captums, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("inputs", ["one_hot", "embedding", "ordinal"])
@pytest.mark.parametrize("place", [Place(0), Place(1)])
def test_conductance_is_complete_in_a_perceptron(inputs: str, place: Place) -> None:
    """The whole input flows through each layer, so the error vanishes with more steps."""
    model, examples = random_perceptron(inputs=inputs, n_layers=2, activation="gelu"), random_questions()
    layer = at(model, examples, place)
    errors = []
    for steps in (5, 50, 500):
        effort = type(EFFORT)(steps, steps, 1.0, 2)
        found = conductance(layer, [TARGETS["log_probability"]], effort, examples.tokens)
        assert found[0].steps == steps
        errors.append(found[0].completeness_error)
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.01


def test_for_a_linear_target_conductance_is_each_units_change_times_its_weight() -> None:
    """The change is measured from blank inputs, not from zero activation."""
    model, examples = random_perceptron(), random_questions()
    layer, target = at(model, examples), TARGETS["right_minus_mean"]
    (found,) = conductance(layer, [target], EFFORT, examples.tokens)
    _, silent = model.run_to(model.blank(examples.tokens), Place(0))
    weights = (layer.weights - layer.weights.mean(dim=1, keepdim=True)).T[layer.labels]
    torch.testing.assert_close(found.saliency, ((layer.units - silent)[:, 0] * weights).detach())
    assert found.completeness_error < 1e-9


def test_conductance_is_not_complete_in_a_transformer() -> None:
    model, examples = random_transformer(), random_examples()
    layer = at(model, examples)
    (found,) = conductance(layer, [TARGETS["right_minus_mean"]], EFFORT, examples.tokens)
    assert found.completeness_error > 0.05
    with torch.no_grad():
        blank = model.answer_from(*model.run_to(model.blank(examples.tokens), Place(0)), Place(0))
    whole, nothing = (TARGETS["right_minus_mean"](logits, layer.labels) for logits in (layer.logits, blank))
    torch.testing.assert_close(found.explained, whole - nothing)


def test_conductance_of_a_head_is_the_sum_over_its_units() -> None:
    model, examples = random_transformer(), random_examples()
    by_unit, by_head = (
        conductance(at(model, examples, Place(0, site)), [TARGETS["margin"]], EFFORT, examples.tokens)[0].saliency
        for site in ("head_outputs", "heads")
    )
    torch.testing.assert_close(by_head, by_unit.unflatten(1, (2, 4)).sum(dim=2))
