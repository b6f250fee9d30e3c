"""Shapley values against Captum's and against their axioms, and standard errors against actual errors."""

from __future__ import annotations

import math

import pytest
import torch
from builders import lookup_table, random_examples, random_transformer
from captum.attr import ShapleyValues
from saliency_builders import EFFORT, EVERY_TARGET, LINEAR_TARGETS, a_layer, a_perceptrons_layer, at, rest_of
from torch import Tensor

from general_circuits.measurements.saliency import shapley as module
from general_circuits.measurements.saliency.gradients import activation_gradient
from general_circuits.measurements.saliency.shapley import shapley
from general_circuits.measurements.saliency.targets import TARGETS, Target
from general_circuits.models.layer import Layer
from general_circuits.models.network import Place


def by_captum(layer: Layer, target: Target) -> Tensor:
    """Return Captum's Shapley values, from all orders of the neurons."""
    features = torch.arange(layer.n_neurons).repeat_interleave(layer.width).expand_as(layer.units[:1]).contiguous()
    captum = ShapleyValues(rest_of(layer, target))
    found = captum.attribute(layer.units, additional_forward_args=(layer.past, layer.labels), feature_mask=features)
    return found[:, 0].unflatten(1, (-1, layer.width))[:, :, 0].detach()


@pytest.mark.parametrize("target", EVERY_TARGET, ids=lambda target: target.name)
@pytest.mark.parametrize(
    "layer",
    [
        a_layer(d_mlp=5),
        a_layer(d_mlp=4, normalisation="pre"),
        a_layer(Place(0, "heads"), n_heads=4),
        a_perceptrons_layer(d_mlp=5, n_layers=2),
    ],
    ids=["linear", "before a norm", "heads", "perceptron"],
)
def test_exact_shapley_values_equal_captums(layer: Layer, target: Target) -> None:
    (found,) = shapley(layer, [target], EFFORT, seed=0)
    assert found.standard_error is None
    captums = by_captum(layer, target).double()  # Captum adds up in single precision
    torch.testing.assert_close(found.saliency, captums, rtol=1e-5, atol=1e-5)
    assert found.completeness_error < 1e-9


@pytest.mark.parametrize(
    ("normalisation", "place"), [("none", Place(0)), ("pre", Place(0)), ("none", Place(0, "head_outputs"))]
)
def test_sampled_values_are_complete_and_approach_exact_values(
    normalisation: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = a_layer(place, d_mlp=6, d_model=6, normalisation=normalisation)
    exact = [found.saliency for found in shapley(layer, EVERY_TARGET, EFFORT, seed=0)]
    monkeypatch.setattr(module, "EXACT_UP_TO", 0)
    many = module._sampled(layer, EVERY_TARGET, 400, seed=0)
    for target, expected, (mean, error) in zip(EVERY_TARGET, exact, many, strict=True):
        z = ((mean - expected).abs() / error.clamp_min(1e-12))[error > 1e-9]
        assert len(z) == 0 or (z < 5).all(), target.name
        assert len(z) == 0 or z.square().mean() < 3, target.name  # 1 on average; examples share the orders
        still = error <= 1e-9
        torch.testing.assert_close(mean[still], expected[still], rtol=1e-6, atol=1e-8)
    for found in shapley(layer, EVERY_TARGET, EFFORT, seed=1):
        assert found.completeness_error < 1e-9


def test_sampled_values_are_exact_where_all_is_linear() -> None:
    layer = a_layer()
    closed = activation_gradient(layer, LINEAR_TARGETS, EFFORT)
    for found, expected in zip(shapley(layer, LINEAR_TARGETS, EFFORT, seed=0), closed, strict=True):
        torch.testing.assert_close(found.saliency, expected.saliency)
        assert found.standard_error is not None
        assert found.standard_error.max() < 1e-7


def test_the_seed_decides_the_orders() -> None:
    layer, target = a_layer(), [TARGETS["margin"]]
    first, again, other = (shapley(layer, target, EFFORT, seed)[0].saliency for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_equal_neurons_have_equal_shapley_values() -> None:
    model, examples = random_transformer(d_mlp=6), random_examples()
    with torch.no_grad():
        for weight, axis in ((model.blocks[0].mlp.W_in, 1), (model.blocks[0].mlp.W_out, 0)):
            weight.select(axis, 4).copy_(weight.select(axis, 2))
        model.blocks[0].mlp.b_in[4] = model.blocks[0].mlp.b_in[2]
        model.blocks[0].mlp.b_in[5] = -1e6
    (found,) = shapley(at(model, examples), [TARGETS["log_probability"]], EFFORT, seed=0)
    torch.testing.assert_close(found.saliency[:, 2], found.saliency[:, 4])
    assert found.saliency[:, 2].abs().max() > 1e-3
    assert found.saliency[:, 5].abs().max() < 1e-12  # neuron 5 is dead


def test_a_lookup_tables_neuron_has_all_credit_for_its_example() -> None:
    layer = at(*lookup_table())
    (found,) = shapley(layer, [TARGETS["log_probability"]], EFFORT, seed=0)
    worth = math.log(3) - math.log(1 + 2 / math.e)
    torch.testing.assert_close(found.saliency, torch.eye(6, dtype=torch.float64) * worth)
