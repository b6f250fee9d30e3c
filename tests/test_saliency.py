"""Saliency against Captum, against its axioms, and at hand-worked values."""

from __future__ import annotations

import itertools
import math

import numpy as np
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
from captum.attr import IntegratedGradients, LayerIntegratedGradients
from torch import Tensor, nn

from general_circuits import saliency
from general_circuits.conditions import Vocabulary
from general_circuits.models.transformer import Transformer
from general_circuits.saliency import Attribution

METHODS = ("activation_gradient", "integrated_gradients")


def at_neurons(model: Transformer, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    resid_mid, post = model.run_to_neurons(tokens, layer)
    return resid_mid.detach(), post.detach()


# The target


def test_target_is_the_right_logit_minus_the_mean_logit():
    logits = torch.tensor([[12.0, 0.0, 0.0], [6.0, 0.0, 6.0], [1.0, 1.0, 1.0]])
    assert saliency.target(logits, torch.tensor([0, 1, 2])).tolist() == [8.0, -4.0, 0.0]
    torch.testing.assert_close(saliency.target(logits + 100, torch.tensor([0, 1, 2])), torch.tensor([8.0, -4.0, 0.0]))


# By hand


@pytest.mark.parametrize("method", METHODS)
def test_two_units_at_worked_values(method):
    model, examples = two_units()
    assert model.answer(examples.tokens).tolist() == [[12, 0, 0], [6, 0, 6], [0, 0, 24]]
    assert saliency.target(model.answer(examples.tokens), examples.labels).tolist() == [8, -4, 16]
    found = saliency.attribute(model, examples.tokens, examples.labels, 0, method)
    # Unit 0 writes 3 to class 0, so (2, −1, −1) relative to the mean; unit 1 writes 6 to class 2: (−2, −2, 4).
    assert found.saliency.tolist() == [[2 * 2, 0], [1 * -1, 0], [0, 2 * 4]]
    assert found.fires.tolist() == [[True, False], [True, False], [False, True]]


def test_a_unit_that_writes_against_the_label_is_salient_with_a_minus():
    model, examples = two_units()
    wrong = torch.tensor([2, 0, 0])
    found = saliency.attribute(model, examples.tokens, wrong, 0, "activation_gradient")
    assert found.saliency.tolist() == [[2 * -1, 0], [1 * 2, 0], [0, 2 * -2]]


def test_a_unit_silent_at_the_last_position_does_not_fire_where_no_other_position_reaches_a_logit():
    model, _ = two_units()
    tokens, labels = torch.tensor([[1, 0, 2]]), torch.tensor([2])
    _, post = at_neurons(model, tokens, 0)
    assert post[0, :, 1].tolist() == [4, 0, 0]  # unit 1 sees x = (0, 4) at the first position, (1, 1) at the last
    found = saliency.attribute(model, tokens, labels, 0, "activation_gradient")
    assert found.fires.tolist() == [[True, False]]
    assert found.saliency.tolist() == [[-1, 0]]


def test_a_lookup_units_saliency_is_all_on_its_own_example():
    model, examples = lookup_table()
    found = saliency.attribute(model, examples.tokens, examples.labels, 0, "activation_gradient")
    torch.testing.assert_close(found.saliency, torch.eye(6, dtype=torch.float64) * (1 - 1 / 3))
    statistics = saliency.neuron_statistics(found)
    np.testing.assert_allclose(statistics["breadth"], 1 / 6)
    assert (statistics["median"] == 0).all()


# Closed form, Captum and gradient agree where the logits are linear in the layer


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
def test_closed_form_is_captums_integrated_gradients_and_activation_times_gradient(n_layers, activation, biases):
    model, layer = random_transformer(n_layers=n_layers, activation=activation, biases=biases), n_layers - 1
    examples = random_examples()
    tokens, labels = examples.tokens, examples.labels
    resid_mid, post = at_neurons(model, tokens, layer)
    closed = saliency.closed_form(model, post, labels, layer)

    ours = saliency.integrated_gradients(model, resid_mid, post, labels, layer, steps=20)
    torch.testing.assert_close(ours, closed, rtol=0, atol=1e-5)
    gradient = saliency.activation_gradient(model, resid_mid, post, labels, layer)
    torch.testing.assert_close(gradient, closed, rtol=0, atol=1e-10)

    captum = IntegratedGradients(lambda post, resid_mid: model.answer_from_neurons(resid_mid, post, layer))
    per_class = torch.stack(
        [
            captum.attribute(post, target=c, additional_forward_args=(resid_mid,), method="riemann_middle")
            for c in range(5)
        ]
    )  # (class, example, position, neuron)
    direct = (per_class[labels, torch.arange(len(labels))] - per_class.mean(dim=0)).sum(dim=1)
    torch.testing.assert_close(direct, closed, rtol=0, atol=1e-5)

    for method in METHODS:
        assert torch.equal(saliency.attribute(model, tokens, labels, layer, method).saliency, closed)


@pytest.mark.parametrize("outputs", ["classes", "sign"])
@pytest.mark.parametrize("activation", ["relu", "quadratic"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_the_closed_form_of_a_perceptron_is_captums_too(n_layers, activation, outputs):
    vocabulary, layer = Vocabulary(2, 5, 2), n_layers - 1
    model = random_perceptron(vocabulary, n_layers=n_layers, activation=activation, outputs=outputs)
    examples = random_questions(n_classes=2)
    resid_mid, post = at_neurons(model, examples.tokens, layer)
    closed = saliency.closed_form(model, post, examples.labels, layer)
    ours = saliency.integrated_gradients(model, resid_mid, post, examples.labels, layer, steps=20)
    torch.testing.assert_close(ours, closed, rtol=0, atol=1e-5)
    gradient = saliency.activation_gradient(model, resid_mid, post, examples.labels, layer)
    torch.testing.assert_close(gradient, closed, rtol=0, atol=1e-10)
    found = saliency.attribute(model, examples.tokens, examples.labels, layer, "integrated_gradients")
    assert torch.equal(found.saliency, closed)
    assert found.completeness_error < 1e-12


def test_integrated_gradients_are_complete_in_an_inner_layer_of_a_perceptron():
    model, examples = random_perceptron(n_layers=3, activation="gelu"), random_questions()
    found = saliency.attribute(model, examples.tokens, examples.labels, 0, "integrated_gradients", 300)
    assert found.saliency.shape == found.fires.shape == (10, 12)
    assert found.completeness_error < 1e-3


def test_captum_agrees_in_float32():
    model, examples = random_transformer(dtype=torch.float32), random_examples()
    resid_mid, post = at_neurons(model, examples.tokens, 0)
    closed = saliency.closed_form(model, post, examples.labels, 0)
    ours = saliency.integrated_gradients(model, resid_mid, post, examples.labels, 0, steps=50)
    torch.testing.assert_close(ours, closed, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("normalisation", "layer"), [("none", 1), ("none", 0), ("pre", 0), ("pre", 1), ("post", 1)])
def test_shifting_every_logit_alike_moves_no_saliency(method, normalisation, layer):
    model, examples = random_transformer(n_layers=2, normalisation=normalisation), random_examples()
    before = saliency.attribute(model, examples.tokens, examples.labels, layer, method, integration_steps=5)
    with torch.no_grad():
        model.unembed.W_U += torch.linspace(-3, 3, 8, dtype=torch.float64)[:, None]  # the same for each class
    after = saliency.attribute(model, examples.tokens, examples.labels, layer, method, integration_steps=5)
    torch.testing.assert_close(after.saliency, before.saliency, rtol=1e-8, atol=1e-9)


# Layers that something follows


def test_activation_gradient_is_the_derivative_of_scaling_each_unit():
    """d target / d log(activation) of one unit at all positions at once, by finite differences."""
    model, examples = random_transformer(n_layers=2, normalisation="pre", activation="gelu"), random_examples(n=4)
    resid_mid, post = at_neurons(model, examples.tokens, 0)
    found = saliency.activation_gradient(model, resid_mid, post.clone(), examples.labels, 0)
    step = 1e-5
    for unit in range(12):
        targets = []
        for scale in (1 + step, 1 - step):
            scaled = post.clone()
            scaled[:, :, unit] *= scale
            targets.append(saliency.target(model.answer_from_neurons(resid_mid, scaled, 0), examples.labels))
        slope = ((targets[0] - targets[1]) / (2 * step)).detach()
        torch.testing.assert_close(found[:, unit], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("normalisation", "layer", "activation", "small"),
    [
        ("pre", 0, "gelu", 1e-7),
        ("pre", 1, "gelu", 1e-7),
        ("pre", 1, "relu", 1e-7),
        ("post", 0, "gelu", 1e-7),
        ("post", 1, "relu", 1e-7),
        ("none", 0, "gelu", 1e-7),
        # The kinks of layer 1's ReLUs lie on the path: slower.
        ("pre", 0, "relu", 1e-3),
        ("none", 0, "relu", 1e-2),
        ("post", 0, "relu", 3e-2),
    ],
)
def test_integrated_gradients_become_complete_with_more_steps(normalisation, layer, activation, small):
    model = random_transformer(n_layers=2, normalisation=normalisation, activation=activation)
    examples = random_examples()
    errors = [
        saliency.attribute(
            model, examples.tokens, examples.labels, layer, "integrated_gradients", steps
        ).completeness_error
        for steps in (1, 5, 25, 200)
    ]
    assert errors[0] > 1e-2
    assert all(after < max(before, 1e-7) for before, after in itertools.pairwise(errors))
    assert errors[-1] < small


def test_completeness_is_exact_where_the_logits_are_linear_and_unpromised_for_gradients():
    model, examples = random_transformer(dtype=torch.float32), random_examples()
    complete = saliency.attribute(model, examples.tokens, examples.labels, 0, "integrated_gradients")
    assert complete.completeness_error < 1e-5
    assert (
        saliency.attribute(model, examples.tokens, examples.labels, 0, "activation_gradient").completeness_error is None
    )


def test_completeness_error_at_worked_values():
    model, examples = two_units()
    resid_mid, post = at_neurons(model, examples.tokens, 0)
    exact = torch.tensor([[4.0, 0.0], [-1.0, 0.0], [0.0, 8.0]])  # Σ is 4, −1, 8: mean size 13/3
    error = saliency.completeness_error(model, resid_mid, post, examples.labels, 0, exact)
    assert error == 0
    off = exact + torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, -1.0]])  # off by 1, −1, 0
    error = saliency.completeness_error(model, resid_mid, post, examples.labels, 0, off)
    assert error == pytest.approx((2 / 3) / (13 / 3))


class Neurons(nn.Module):
    """The neurons as a module of their own, as `LayerIntegratedGradients` wants a layer to be."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, resid_mid: Tensor) -> Tensor:
        return self.block.neurons(resid_mid)


class Targets(nn.Module):
    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model, self.neurons = model, Neurons(model.blocks[0])

    def forward(self, tokens: Tensor, labels: Tensor) -> Tensor:
        resid_mid = self.model.blocks[0].attend(self.model.embed(tokens) + self.model.pos_embed())
        return saliency.target(self.model.answer_from_neurons(resid_mid, self.neurons(resid_mid), 0), labels)


def test_layer_integrated_gradients_answers_another_question():
    """Why it is not used: its baseline is the layer at tokens 0 0 0, where unit 0 is 4, not a silent layer."""
    model, examples = two_units()
    targets = Targets(model)
    layer = LayerIntegratedGradients(targets, targets.neurons)
    found = layer.attribute(examples.tokens, additional_forward_args=(examples.labels,))[:, -1].detach()
    from_tokens_zero = torch.tensor([[(2 - 4) * 2, 0], [(1 - 4) * -1, 0], [(0 - 4) * -1, 2 * 4]]).double()
    torch.testing.assert_close(found, from_tokens_zero)
    ours = saliency.attribute(model, examples.tokens, examples.labels, 0, "integrated_gradients").saliency
    assert ours[2, 0] == 0  # silent there, so it explains nothing
    assert found[2, 0] == pytest.approx(4)


# Statistics over examples


def statistics_of(columns: list[list[float]]):
    """Statistics of units given by their saliency on each example."""
    values = torch.tensor(columns).T
    return saliency.neuron_statistics(Attribution(values, values != 0, None))


def test_statistics_at_worked_values():
    found = statistics_of([[0, 0, 0, 0, 10], [2, 2, 2, 2, 2], [-3, -1, -2, 4, 0], [0, 0, 0, 0, 0], [-1, 1, -1, 1, -1]])
    expected = {
        "neuron": [0, 1, 2, 3, 4],
        "median": [0, 2, -1, 0, -1],
        "median_magnitude": [0, 2, 2, 0, 1],
        "mean_magnitude": [2, 2, 2, 0, 1],
        "q95_magnitude": [8, 2, 3.8, 0, 1],  # at position 0.95 · 4 = 3.8 of the sorted five
        "breadth": [1 / 5, 1, 10**2 / (5 * 30), 0, 1],
        "alive": [True, True, True, False, True],
    }
    for name, column in expected.items():
        np.testing.assert_allclose(found[name], column, rtol=1e-12, err_msg=name)
    assert found["completeness_error"].isna().all()


def test_breadth_ignores_scale_and_sign_and_order():
    unit = [0.5, -1.5, 3.0, 0.0]
    same = statistics_of([unit, [1000 * s for s in unit], [-s for s in unit], unit[::-1]])["breadth"]
    np.testing.assert_allclose(same, same[0])


@pytest.mark.parametrize("shared_by", [1, 3, 8])
def test_breadth_is_the_share_of_examples_a_unit_serves_equally(shared_by):
    unit = [2.0] * shared_by + [0.0] * (8 - shared_by)
    assert statistics_of([unit])["breadth"].item() == pytest.approx(shared_by / 8)


def test_breadth_of_the_smallest_float32_does_not_vanish():
    tiny = torch.full((4, 1), 1e-40)
    assert saliency.neuron_statistics(Attribution(tiny, tiny != 0, None))["breadth"].item() == pytest.approx(1.0)


def test_dead_units_have_zeros_and_no_nan():
    model, examples = random_transformer(), random_examples()
    with torch.no_grad():
        model.blocks[0].mlp.b_in[3] = -1e6
    found = saliency.attribute(model, examples.tokens, examples.labels, 0, "integrated_gradients")
    statistics = saliency.neuron_statistics(found)
    assert not statistics.isna().any().any()
    dead = statistics.iloc[3]
    assert not dead["alive"]
    assert (dead.drop(["neuron", "alive", "completeness_error"]) == 0).all()
    assert statistics["alive"].sum() >= 6


def test_a_diverged_networks_breadth_is_nan_and_not_zero():
    found = statistics_of([[math.nan, 1.0], [1.0, 1.0]])
    assert math.isnan(found["breadth"][0])
    assert found["breadth"][1] == 1


def test_layers_wider_than_a_quantile_slice_are_whole():
    values = torch.randn(9, 300, generator=torch.Generator().manual_seed(0))
    found = saliency.neuron_statistics(Attribution(values, values != 0, 0.25))
    np.testing.assert_allclose(found["median"], np.median(values.double().numpy(), axis=0))
    np.testing.assert_allclose(found["q95_magnitude"], np.quantile(values.abs().double().numpy(), 0.95, axis=0))
    assert (found["completeness_error"] == 0.25).all()


@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
def test_in_the_last_layer_only_what_fires_at_the_last_position_is_alive(normalisation: str) -> None:
    model, examples = random_transformer(normalisation=normalisation), random_examples(50)
    post = model.run_to_neurons(examples.tokens, 0)[1]
    found = saliency.attribute(model, examples.tokens, examples.labels, 0, "integrated_gradients")
    assert torch.equal(found.fires, post[:, -1] != 0)
    assert (post != 0).any(dim=1).sum() > found.fires.sum()
