"""Effect of deleting one neuron, against Captum's feature ablation and at worked values."""

from __future__ import annotations

import pytest
import torch
from builders import lookup_table, two_units
from captum.attr import FeatureAblation
from saliency_builders import EFFORT, EVERY_TARGET, a_layer, a_perceptrons_layer, at, rest_of

from general_circuits.measurements.saliency import deletion
from general_circuits.measurements.saliency.deletion import ablation_effect
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.layer import Layer
from general_circuits.models.network import Place

PLACES = [
    ("none", Place(1)),
    ("none", Place(0)),
    ("pre", Place(1)),
    ("post", Place(0)),
    ("none", Place(1, "head_outputs")),
    ("pre", Place(0, "heads")),
]


def by_captum(layer: Layer, name: str) -> torch.Tensor:
    """Return Captum's feature ablation, where a neuron's units at all positions are one feature."""
    features = torch.arange(layer.n_neurons).repeat_interleave(layer.width).expand_as(layer.units[:1])
    captum = FeatureAblation(rest_of(layer, TARGETS[name]))
    found = captum.attribute(
        layer.units, additional_forward_args=(layer.past, layer.labels), feature_mask=features, perturbations_per_eval=1
    )
    return found[:, 0].unflatten(1, (-1, layer.width))[:, :, 0].detach()  # the same for each unit of a feature


@pytest.mark.parametrize(("normalisation", "place"), PLACES)
def test_ablation_effects_equal_captums_feature_ablation(normalisation: str, place: Place) -> None:
    layer = a_layer(place, n_layers=2, normalisation=normalisation, biases="all")
    found = ablation_effect(layer, EVERY_TARGET, EFFORT)
    for target, attribution in zip(EVERY_TARGET, found, strict=True):
        assert attribution.saliency.shape == (10, layer.n_neurons)
        torch.testing.assert_close(attribution.saliency, by_captum(layer, target.name), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("place", [Place(0), Place(1)])
def test_ablation_effects_of_a_perceptron_equal_captums(place: Place) -> None:
    layer = a_perceptrons_layer(place, n_layers=2)
    (found,) = ablation_effect(layer, [TARGETS["log_probability"]], EFFORT)
    torch.testing.assert_close(found.saliency, by_captum(layer, "log_probability"), rtol=1e-8, atol=1e-9)


def test_deleting_neurons_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = a_layer()
    (whole,) = ablation_effect(layer, [TARGETS["margin"]], EFFORT)
    monkeypatch.setattr(deletion, "LOGITS_PER_PASS", 5 * layer.logits.numel())
    (found,) = ablation_effect(layer, [TARGETS["margin"]], EFFORT)
    torch.testing.assert_close(found.saliency, whole.saliency)


def test_ablation_effects_of_two_units_at_worked_values() -> None:
    """Deleting unit 0 changes the logits of the second example from 6, 0, 6 to 3, 0, 6. Its margin stays −6."""
    model, examples = two_units()
    (found,) = ablation_effect(at(model, examples), [TARGETS["margin"]], EFFORT)
    assert found.saliency.tolist() == [[6, 0], [0, 0], [0, 12]]


def test_a_lookup_tables_neuron_matters_to_its_own_example_alone() -> None:
    layer = at(*lookup_table())
    for target, found in zip(EVERY_TARGET, ablation_effect(layer, EVERY_TARGET, EFFORT), strict=True):
        worth = target(layer.logits, layer.labels) - target(torch.zeros_like(layer.logits), layer.labels)
        torch.testing.assert_close(found.saliency, torch.diag(worth))
        assert found.completeness_error < 1e-12
