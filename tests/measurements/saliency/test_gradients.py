"""Activation × gradient and integrated gradients at worked values, against Captum, and against their axioms."""

from __future__ import annotations

import itertools

import pytest
import torch
from builders import (
    lookup_table,
    random_examples,
    random_perceptron,
    random_questions,
    random_transformer,
    two_units,
)
from captum.attr import InputXGradient, IntegratedGradients, LayerIntegratedGradients
from saliency_builders import EFFORT, EVERY_TARGET, LINEAR_TARGETS, a_layer, at, mean_of, rest_of
from torch import Tensor

from general_circuits.measurements.saliency import conductance
from general_circuits.measurements.saliency.attribution import Attribution, Effort, relative_error
from general_circuits.measurements.saliency.gradients import (
    activation_gradient,
    frozen_closed_form,
    integrated_gradients,
    integrated_gradients_from_mean,
)
from general_circuits.measurements.saliency.targets import TARGETS
from general_circuits.models.layer import Layer
from general_circuits.models.network import Place
from general_circuits.tasks.vocabulary import Vocabulary

DIFFERENCE = TARGETS["right_minus_mean"]
METHODS = (activation_gradient, integrated_gradients)


def along(layer: Layer, steps: int) -> Attribution:
    """Return integrated gradients with exactly this number of steps."""
    return integrated_gradients(layer, [DIFFERENCE], Effort(steps, steps, 1e-12, 2))[0]


# By hand


@pytest.mark.parametrize("method", METHODS)
def test_two_units_at_worked_values(method):
    model, examples = two_units()
    assert model.answer(examples.tokens).tolist() == [[12, 0, 0], [6, 0, 6], [0, 0, 24]]
    layer = at(model, examples)
    (found,) = method(layer, [DIFFERENCE], EFFORT)
    # Unit 0 writes 3 to class 0, so (2, −1, −1) relative to the mean; unit 1 writes 6 to class 2: (−2, −2, 4).
    torch.testing.assert_close(found.saliency, torch.tensor([[2.0 * 2, 0], [1 * -1, 0], [0, 2 * 4]]).double())
    # What attention wrote stays: coordinates (2, 0), (1, 1), (0, 2), of which W_U makes 6 0 0, 3 0 6, 0 0 12.
    assert found.explained.tolist() == [8 - 4, -4 - -3, 16 - 8]
    assert found.completeness_error == pytest.approx(0)
    assert layer.fires.tolist() == [[True, False], [True, False], [False, True]]


@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
@pytest.mark.parametrize("place", [Place(0), Place(0, "head_outputs"), Place(1), Place(1, "heads")])
def test_activation_times_gradient_is_captums_input_times_gradient_on_the_rest_of_the_network(
    place: Place, normalisation: str
) -> None:
    layer = a_layer(place, n_layers=2, normalisation=normalisation)
    for target, found in zip(EVERY_TARGET, activation_gradient(layer, EVERY_TARGET, EFFORT), strict=True):
        captum = InputXGradient(rest_of(layer, target))
        units = layer.units.clone().requires_grad_()
        expected = captum.attribute(units, additional_forward_args=(layer.past, layer.labels))
        torch.testing.assert_close(found.saliency, layer.by_neuron(expected.detach()), check_dtype=False)


def test_a_unit_that_writes_against_the_label_has_negative_saliency():
    model, examples = two_units()
    layer = Layer.at(model, examples.tokens, torch.tensor([2, 0, 0]), Place(0))
    (found,) = activation_gradient(layer, [DIFFERENCE], EFFORT)
    assert found.saliency.tolist() == [[2 * -1, 0], [1 * 2, 0], [0, 2 * -2]]


def test_a_lookup_units_saliency_is_all_on_its_own_example():
    (found,) = activation_gradient(at(*lookup_table()), [DIFFERENCE], EFFORT)
    torch.testing.assert_close(found.saliency, torch.eye(6, dtype=torch.float64) * (1 - 1 / 3))


# Closed form, Captum and gradient agree where the logits are linear in the layer


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
def test_closed_form_is_captums_integrated_gradients_and_activation_times_gradient(n_layers, activation, biases):
    model = random_transformer(n_layers=n_layers, activation=activation, biases=biases)
    layer = at(model, random_examples(), Place(n_layers - 1))
    closed = activation_gradient(layer, LINEAR_TARGETS, EFFORT)
    by_autograd = layer.unit_gradients(LINEAR_TARGETS)
    for target, found, gradient in zip(LINEAR_TARGETS, closed, by_autograd, strict=True):
        torch.testing.assert_close(found.saliency, (layer.units * gradient).sum(dim=1), rtol=0, atol=1e-10)
        (ours,) = integrated_gradients(layer, [target], EFFORT)
        torch.testing.assert_close(ours.saliency, found.saliency, rtol=0, atol=1e-10)
        torch.testing.assert_close(by_captum(layer, target, layer.units * 0), found.saliency, rtol=0, atol=1e-5)
        assert found.completeness_error < 1e-12
        assert ours.steps == 0


def by_captum(layer: Layer, target, baseline: Tensor, steps: int = 50) -> Tensor:
    captum = IntegratedGradients(rest_of(layer, target))
    forward = {"additional_forward_args": (layer.past, layer.labels), "n_steps": steps}
    return layer.by_neuron(captum.attribute(layer.units, baselines=baseline, **forward).detach())


@pytest.mark.parametrize("target", EVERY_TARGET, ids=lambda target: target.name)
@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_integrating_in_the_logits_is_captums_integrated_gradients(target, baseline):
    """The logits of the last layer move along a line, so only the gradient in the logits is integrated."""
    layer = a_layer(n_layers=2, place=Place(1), biases="all")
    values = torch.zeros_like(layer.units[0]) if baseline == "zero" else mean_of(layer)
    effort = Effort(40, 40, 1e-12, 2)
    if baseline == "zero":
        (ours,) = integrated_gradients(layer, [target], effort)
    else:
        (ours,) = integrated_gradients_from_mean(layer, [target], effort, mean_of(layer))
    theirs = by_captum(layer, target, values.expand_as(layer.units), steps=40)
    torch.testing.assert_close(ours.saliency, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("outputs", ["classes", "sign"])
@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_closed_form_of_a_perceptron_equals_captum(n_layers, activation, outputs):
    model = random_perceptron(Vocabulary(2, 5, 2), n_layers=n_layers, activation=activation, outputs=outputs)
    layer = at(model, random_questions(n_classes=2), Place(n_layers - 1))
    (closed,) = activation_gradient(layer, [DIFFERENCE], EFFORT)
    theirs = by_captum(layer, DIFFERENCE, layer.units * 0)
    torch.testing.assert_close(theirs, closed.saliency, rtol=0, atol=1e-5)
    assert closed.completeness_error < 1e-12


def test_closed_form_equals_captum_in_float32():
    layer = a_layer(dtype=torch.float32)
    (closed,) = activation_gradient(layer, [DIFFERENCE], EFFORT)
    theirs = by_captum(layer, DIFFERENCE, layer.units * 0)
    torch.testing.assert_close(theirs, closed.saliency, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["right_minus_mean", "margin", "log_probability"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("normalisation", "layer"), [("none", 1), ("none", 0), ("pre", 0), ("pre", 1), ("post", 1)])
def test_shifting_all_logits_together_changes_no_saliency(method, normalisation, layer, name):
    model, examples = random_transformer(n_layers=2, normalisation=normalisation), random_examples()
    effort = Effort(5, 5, 1.0, 2)
    (before,) = method(at(model, examples, Place(layer)), [TARGETS[name]], effort)
    with torch.no_grad():
        model.unembed.W_U += torch.linspace(-3, 3, 8, dtype=torch.float64)[:, None]  # the same for each class
    (after,) = method(at(model, examples, Place(layer)), [TARGETS[name]], effort)
    torch.testing.assert_close(after.saliency, before.saliency, rtol=1e-8, atol=1e-9)


# Layers that are followed by something nonlinear


@pytest.mark.parametrize("place", [Place(0), Place(0, "head_outputs"), Place(1, "heads")])
def test_activation_gradient_is_the_derivative_of_scaling_each_neuron(place):
    """The derivative is d target / d log(activation) of one neuron at all positions, by finite differences."""
    layer = a_layer(place, n=4, n_layers=2, normalisation="pre", activation="gelu")
    (found,) = activation_gradient(layer, [DIFFERENCE], EFFORT)
    step = 1e-5
    for neuron in range(layer.n_neurons):
        targets = []
        for scale in (1 + step, 1 - step):
            scaled = layer.units.clone()
            scaled[:, :, layer.units_of(torch.tensor([neuron]))] *= scale
            targets.append(DIFFERENCE(layer.answer(scaled), layer.labels))
        slope = ((targets[0] - targets[1]) / (2 * step)).detach()
        torch.testing.assert_close(found.saliency[:, neuron], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("normalisation", "place", "activation", "small"),
    [
        ("pre", Place(0), "gelu", 1e-7),
        ("pre", Place(1), "gelu", 1e-7),
        ("pre", Place(1), "relu", 1e-7),
        ("post", Place(0), "gelu", 1e-7),
        ("post", Place(1), "relu", 1e-7),
        ("none", Place(0), "gelu", 1e-7),
        ("none", Place(0, "head_outputs"), "gelu", 1e-7),
        ("pre", Place(1, "heads"), "gelu", 1e-7),
        # The kinks of layer 1's ReLUs lie on the path: slower.
        ("pre", Place(0), "relu", 1e-3),
        ("none", Place(0), "relu", 1e-2),
        ("post", Place(0), "relu", 3e-2),
    ],
)
def test_integrated_gradients_become_complete_with_more_steps(normalisation, place, activation, small):
    layer = a_layer(place, n_layers=2, normalisation=normalisation, activation=activation)
    errors = [along(layer, steps).completeness_error for steps in (1, 5, 25, 200)]
    assert errors[0] > 1e-2
    assert all(after < max(before, 1e-7) for before, after in itertools.pairwise(errors))
    assert errors[-1] < small


def test_integrated_gradients_are_complete_in_an_inner_layer_of_a_perceptron():
    layer = at(random_perceptron(n_layers=3, activation="gelu"), random_questions())
    found = along(layer, 300)
    assert found.saliency.shape == layer.fires.shape == (10, 12)
    assert found.completeness_error < 1e-3


def test_steps_double_until_complete_or_at_the_limit():
    layer = a_layer(n_layers=2)  # kinks on the path
    errors = {steps: along(layer, steps).completeness_error for steps in (4, 8, 16, 32, 64)}
    for wanted, most in ((2 * errors[4], 64), (errors[16] * 1.01, 64), (1e-12, 64), (1e-12, 40)):
        (found,) = integrated_gradients(layer, [DIFFERENCE], Effort(4, most, wanted, 2))
        enough = [steps for steps in errors if errors[steps] <= wanted]
        expected = min(enough) if enough else max(steps for steps in errors if steps <= most)
        assert found.steps == expected
        assert found.completeness_error == errors[expected]


def test_a_final_norm_keeps_a_closed_form_from_being_exact():
    for normalisation in ("pre", "post"):
        layer = a_layer(normalisation=normalisation)
        (closed,) = frozen_closed_form(layer, [DIFFERENCE])
        (complete,) = integrated_gradients(layer, [DIFFERENCE], EFFORT)
        assert complete.completeness_error < 1e-3
        assert relative_error(closed, complete.saliency) > 0.05
    layer = a_layer()
    (closed,) = frozen_closed_form(layer, [DIFFERENCE])
    (exact,) = activation_gradient(layer, [DIFFERENCE], EFFORT)
    torch.testing.assert_close(closed, exact.saliency)


# Captum's layer methods


def through_captums_layer(baseline: Tensor) -> tuple[Layer, Tensor]:
    """Return a random layer and its `LayerIntegratedGradients` from an input baseline, (example, neuron)."""
    model, examples = random_transformer(), random_examples()
    layer = at(model, examples)
    path = conductance._PathToTarget(layer, DIFFERENCE)
    captum = LayerIntegratedGradients(path, path.tap)
    read = model.read(examples.tokens).detach()
    found = captum.attribute(read, baselines=baseline.expand_as(read), additional_forward_args=(layer.labels,))
    return layer, found[:, -1].detach()


def test_layer_integrated_gradients_starts_from_the_layer_at_a_baseline_input_and_not_from_a_silent_layer():
    """Captum's result is the closed form from the layer's activation at the baseline input, not from zero."""
    nothing = torch.zeros(1, 3, 8, dtype=torch.float64)
    layer, found = through_captums_layer(nothing)
    _, at_nothing = layer.model.run_to(nothing, Place(0))
    weights = (layer.weights - layer.weights.mean(dim=1, keepdim=True)).T[layer.labels]
    torch.testing.assert_close(found, ((layer.units - at_nothing)[:, -1] * weights).detach(), rtol=1e-5, atol=1e-6)
    (ours,) = integrated_gradients(layer, [DIFFERENCE], EFFORT)
    assert at_nothing[0, -1].abs().max() > 0.1  # biases: units fire at a zero input
    assert (found - ours.saliency).abs().max() > 0.05
