"""Every example's gradient as outer products, against one backward pass per example and at known values."""

from __future__ import annotations

import itertools

import pytest
import torch
from builders import addition, lookup_table, random_examples, random_perceptron, random_questions, random_transformer
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from general_circuits.measurements.updates import outer
from general_circuits.measurements.updates.outer import Moments, moments
from general_circuits.models import predictions
from general_circuits.models.network import Network, Place
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary

DOUBLE = torch.float64

TRANSFORMERS = [
    {"n_layers": n_layers, "normalisation": normalisation, "biases": biases, "activation": activation}
    for n_layers, normalisation, (biases, activation) in itertools.product(
        (1, 2), ("none", "pre", "post"), (("none", "relu"), ("all", "gelu"))
    )
]
PERCEPTRONS = [
    {"n_layers": n_layers, "inputs": inputs, "biases": biases}
    for n_layers, inputs, biases in itertools.product((1, 2), ("one_hot", "embedding"), ("none", "mlp", "all"))
]


def one_by_one(model: Network, examples: Examples, place: Place) -> Tensor:
    """Return each example's gradient by its own backward pass, (example, neuron, weight)."""
    rows = []
    for tokens, label in zip(examples.tokens.split(1), examples.labels.split(1), strict=True):
        model.zero_grad(set_to_none=True)
        predictions.surprise(model.answer(tokens), label).sum().backward()
        weights = [(model.get_parameter(name).grad, axis) for name, axis in model.neuron_weights(place).items()]
        by_neuron = [gradient.movedim(axis, 0) for gradient, axis in weights]
        rows.append(torch.cat([gradient.reshape(len(gradient), -1) for gradient in by_neuron], dim=1))
    return torch.stack(rows)


def moments_of(gradients: Tensor) -> Moments:
    """Return the moments of gradients (example, neuron, weight), straight from their definition."""
    squares = gradients.square().sum(dim=2)
    return Moments(len(gradients), gradients.mean(dim=0).square().sum(dim=1), squares.mean(dim=0))


def assert_as_one_by_one(model: Network, examples: Examples) -> None:
    for place in model.places(["mlp"]):
        (found,) = moments(model, examples.tokens, (examples.labels,), place, DOUBLE)
        expected = moments_of(one_by_one(model, examples, place))
        for name in ("mean_square", "square_mean", "norm", "gsnr", "coherence"):
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-12, equal_nan=True
            )


@pytest.mark.parametrize("settings", TRANSFORMERS)
def test_a_transformers_gradients_are_those_of_one_backward_pass_per_example(settings):
    assert_as_one_by_one(random_transformer(**settings), random_examples())


@pytest.mark.parametrize("settings", PERCEPTRONS)
def test_a_perceptrons_gradients_are_those_of_one_backward_pass_per_example(settings):
    assert_as_one_by_one(random_perceptron(**settings), random_questions())


def test_gradients_are_the_same_in_passes_of_any_size_and_if_an_output_is_a_sign(monkeypatch):
    monkeypatch.setattr(outer, "EXAMPLES_PER_PASS", 4)
    model = random_perceptron(Vocabulary(2, 5, 2), outputs="sign", n_layers=2)
    assert_as_one_by_one(model, random_questions(n_classes=2))
    assert_as_one_by_one(random_transformer(n_layers=2), random_examples())


def test_the_mean_is_the_gradient_of_the_training_loss():
    model, examples = random_transformer(n_layers=2), random_examples()
    predictions.loss(model.answer(examples.tokens), examples.labels).backward()
    for place in model.places(["mlp"]):
        (found,) = moments(model, examples.tokens, (examples.labels,), place, DOUBLE)
        gradients = [(model.get_parameter(name).grad, axis) for name, axis in model.neuron_weights(place).items()]
        squares = [gradient.movedim(axis, 0).reshape(12, -1).square().sum(dim=1) for gradient, axis in gradients]
        torch.testing.assert_close(found.norm, sum(squares).sqrt())


def test_each_labeling_has_the_moments_that_it_has_alone():
    model, examples = random_transformer(), random_examples()
    other = examples.labels.flip(0)
    both = moments(model, examples.tokens, (examples.labels, other), Place(0), DOUBLE)
    for labels, found in zip((examples.labels, other), both, strict=True):
        (alone,) = moments(model, examples.tokens, (labels,), Place(0), DOUBLE)
        assert torch.equal(found.mean_square, alone.mean_square)
        assert torch.equal(found.square_mean, alone.square_mean)


def test_a_step_on_one_of_n_equal_examples_helps_all_n():
    model, one = random_transformer(n_layers=2), random_examples(1)
    tokens, labels = one.tokens.expand(7, -1), one.labels.expand(7)
    for place in model.places(["mlp"]):
        (found,) = moments(model, tokens, (labels,), place, DOUBLE)
        moves = found.square_mean > 0
        assert moves.any()
        torch.testing.assert_close(found.coherence[moves], torch.full_like(found.coherence[moves], 7.0))


def test_a_unit_that_fires_on_one_example_has_a_coherence_of_1():
    """One of n examples has a gradient: coherence is 1, and signal to noise 1 / (n − 1)."""
    model, examples = lookup_table()
    (found,) = moments(model, examples.tokens, (examples.labels,), Place(0), DOUBLE)
    torch.testing.assert_close(found.coherence, torch.ones(6, dtype=DOUBLE))
    torch.testing.assert_close(found.gsnr, torch.full((6,), 1 / 5, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("gradients", "norm", "gsnr", "coherence"),
    [
        ([[3.0, 0.0], [0.0, 4.0]], 2.5, 1.0, 1.0),  # orthogonal: ‖mean‖² = 25/4, mean of squares 25/2
        ([[1.0, 2.0], [1.0, 2.0]], 5**0.5, None, 2.0),  # equal
        ([[2.0, 0.0], [-2.0, 0.0]], 0.0, 0.0, 0.0),  # they cancel
        ([[2.0, 0.0], [0.0, 0.0]], 1.0, 1.0, 1.0),  # one alone
        ([[0.0, 0.0], [0.0, 0.0]], 0.0, None, None),  # none
    ],
)
def test_signal_to_noise_and_coherence_at_worked_values(gradients, norm, gsnr, coherence):
    found = moments_of(torch.tensor(gradients, dtype=DOUBLE).unsqueeze(1))
    for value, expected in ((found.norm, norm), (found.gsnr, gsnr), (found.coherence, coherence)):
        assert value.item() == pytest.approx(float("nan") if expected is None else expected, nan_ok=True)


@given(st.integers(0, 10**6))
def test_coherence_is_from_zero_to_n_and_goes_with_signal_to_noise(seed: int) -> None:
    """Coherence is c = n m / s, and signal to noise is r = m / (s − m). So r = c / (n − c)."""
    examples = addition()["train"]
    model = random_transformer(seed=seed)
    (found,) = moments(model, examples.tokens, (examples.labels,), Place(0), DOUBLE)
    moves = found.square_mean > 0
    coherence, gsnr = found.coherence[moves], found.gsnr[moves]
    assert (coherence >= 0).all()
    assert (coherence <= found.n * (1 + 1e-12)).all()
    torch.testing.assert_close(gsnr, coherence / (found.n - coherence), rtol=1e-6, atol=1e-12)


def test_a_dead_unit_has_no_gradient():
    model, examples = random_transformer(), random_examples()
    with torch.no_grad():
        model.blocks[0].mlp.b_in[3] = -1e6
    (found,) = moments(model, examples.tokens, (examples.labels,), Place(0), DOUBLE)
    assert found.norm[3] == 0
    assert found.gsnr[3].isnan()
    assert found.coherence[3].isnan()
    assert found.coherence.isnan().sum() == 1
