"""Perceptrons against networks made of torch's own layers, and the interface that measurements use."""

from __future__ import annotations

import itertools

import pytest
import torch
from builders import VOCABULARY, mlp_settings, random_perceptron, random_questions
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_networks import PlainPerceptron, in_plain_perceptron

from general_circuits.models.network import Place
from general_circuits.models.perceptron import Perceptron
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary

BITS = Vocabulary(n_inputs=6, n_symbols=2, n_classes=2)
INPUTS = ("one_hot", "embedding", "ordinal")


def questions(vocabulary: Vocabulary, n: int = 10, seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randint(vocabulary.n_symbols, (n, vocabulary.n_inputs), generator=generator)
    tokens = torch.cat([inputs, torch.full((n, 1), vocabulary.n_symbols)], dim=1)
    return Examples(tokens, torch.randint(vocabulary.n_classes, (n,), generator=generator))


OPTIONS = [
    *itertools.product(INPUTS, ("relu", "gelu", "quadratic"), ("none", "mlp", "all"), (1, 3), ("classes",)),
    *itertools.product(INPUTS, ("relu",), ("none", "mlp", "all"), (1, 2), ("sign",)),
]


@pytest.mark.parametrize(("inputs", "activation", "biases", "n_layers", "outputs"), OPTIONS)
def test_logits_and_gradients_are_those_of_torchs_own_layers(inputs, activation, biases, n_layers, outputs):
    vocabulary = BITS if outputs == "sign" else Vocabulary(3, 5, 4)
    model = random_perceptron(
        vocabulary, inputs=inputs, activation=activation, biases=biases, n_layers=n_layers, outputs=outputs
    )
    plain = PlainPerceptron(model.settings, vocabulary).double()
    plain.load_state_dict(in_plain_perceptron(dict(model.named_parameters()), model.settings))
    tokens = questions(vocabulary).tokens

    ours, theirs = model.answer(tokens), plain(tokens[:, :-1])
    assert ours.shape == (10, vocabulary.n_classes)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-10)

    direction = torch.linspace(-1, 1, ours.numel(), dtype=torch.float64).view_as(ours)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    gradients = in_plain_perceptron({name: weight.grad for name, weight in model.named_parameters()}, model.settings)
    expected = {name: weight.grad for name, weight in plain.named_parameters()}
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-10, atol=1e-10, msg=name)


def test_names_and_shapes_are_transformerlens():
    settings = mlp_settings(inputs="embedding", n_layers=2)
    assert {name: tuple(weight.shape) for name, weight in Perceptron(settings, VOCABULARY).state_dict().items()} == {
        "embed.W_E": (5, 3),  # "=" has no row
        "blocks.0.mlp.W_in": (6, 12),
        "blocks.0.mlp.b_in": (12,),
        "blocks.1.mlp.W_in": (12, 12),
        "blocks.1.mlp.b_in": (12,),
        "unembed.W_U": (12, 5),
        "unembed.b_U": (5,),
    }


def test_one_hot_vectors_stand_side_by_side():
    model = random_perceptron(Vocabulary(2, 3, 3))
    assert model.read(torch.tensor([[0, 2, 3], [1, 1, 3]])).tolist() == [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0]]


def test_an_ordinal_input_runs_from_minus_one_to_one():
    model = random_perceptron(Vocabulary(5, 5, 3), inputs="ordinal")
    assert model.read(torch.tensor([[0, 1, 2, 3, 4, 5]])).tolist() == [[-1, -0.5, 0, 0.5, 1]]
    bits = random_perceptron(Vocabulary(2, 2, 2), inputs="ordinal", dtype=torch.float32)
    assert bits.read(torch.tensor([[0, 1, 2]])).tolist() == [[-1, 1]]


@given(st.integers(0, 10**6), st.sampled_from(INPUTS), st.lists(st.integers(-5, 10**6), min_size=10, max_size=10))
def test_the_token_in_place_of_the_equals_sign_does_not_matter(seed: int, inputs: str, instead: list[int]) -> None:
    model, tokens = random_perceptron(inputs=inputs), random_questions(seed=seed).tokens
    other = torch.cat([tokens[:, :-1], torch.tensor(instead)[:, None]], dim=1)
    assert torch.equal(model.answer(tokens), model.answer(other))


def test_the_inputs_order_matters():
    model, tokens = random_perceptron(inputs="embedding"), torch.tensor([[0, 1, 5], [1, 0, 5]])
    first, second = model.answer(tokens)
    assert (first - second).abs().max() > 1e-3


def test_one_output_is_the_log_odds_of_the_second_class():
    model = random_perceptron(BITS, outputs="sign", inputs="ordinal", biases="mlp")
    tokens = questions(BITS).tokens
    _, post = model.run_to(model.read(tokens), Place(0))
    f = (post[:, 0] @ model.unembed.W_U).squeeze(1)
    logits = model.answer(tokens)
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], f)
    assert torch.equal(logits.sum(dim=1), torch.zeros(len(f), dtype=torch.float64))
    assert torch.equal(logits.argmax(dim=1), (f > 0).long())


@pytest.mark.parametrize("outputs", ["classes", "sign"])
@pytest.mark.parametrize("layer", [0, 1])
def test_stopping_at_the_neurons_and_going_on_changes_nothing(layer, outputs):
    model, tokens = random_perceptron(BITS, n_layers=2, outputs=outputs), questions(BITS).tokens
    past, post = model.run_to(model.read(tokens), Place(layer))
    assert past.shape == (10, 1, 0)
    assert post.shape == (10, 1, 12)
    assert torch.equal(model.answer_from(past, post, Place(layer)), model.answer(tokens))


@pytest.mark.parametrize("outputs", ["classes", "sign"])
@pytest.mark.parametrize("biases", ["none", "mlp", "all"])
@pytest.mark.parametrize("layer", [0, 1])
def test_inputs_and_weights_give_the_neurons_and_their_outputs_give_the_answer(layer, biases, outputs):
    model, tokens = random_perceptron(BITS, n_layers=2, biases=biases, outputs=outputs), questions(BITS).tokens
    place, x = Place(layer), model.read(tokens)
    past, post = model.run_to(x, place)
    into, *bias, outward = (model.get_parameter(name) for name in model.neuron_weights(place))
    assert len(bias) == (biases != "none")
    assert torch.equal(model.activation(sum(bias, model.neuron_inputs(x, place) @ into)), post)
    written, silent = model.write(post, place), model.write(torch.zeros_like(post), place)
    torch.testing.assert_close(written - silent, post @ outward)
    assert torch.equal(model.answer_from_written(past, written, place), model.answer(tokens))


def test_there_are_no_heads_and_a_blank_is_all_zeros():
    model, tokens = random_perceptron(BITS, n_layers=2), questions(BITS).tokens
    assert model.places(["heads", "mlp", "head_outputs"]) == [Place(0), Place(1)]
    assert (model.blank(tokens) == 0).all()
    assert model.blank(tokens).shape == model.read(tokens).shape


def test_weight_norms_use_the_next_layers_weights():
    model = random_perceptron(BITS, n_layers=2)
    first, second = (block.mlp.W_in for block in model.blocks)
    torch.testing.assert_close(model.weight_norms(Place(0)), first.norm(dim=0) * second.norm(dim=1))
    torch.testing.assert_close(model.weight_norms(Place(1)), second.norm(dim=0) * model.unembed.W_U.norm(dim=1))


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_logits_are_linear_in_the_last_layer_alone(n_layers):
    model = random_perceptron(n_layers=n_layers)
    last = n_layers - 1
    assert [layer for layer in range(n_layers) if model.is_linear_from(Place(layer))] == [last]
    assert [layer for layer in range(n_layers) if model.is_last(Place(layer))] == [last]
    for layer in range(last):
        with pytest.raises(ValueError, match=f"mlp of layer {layer}: the logits are not linear"):
            model.logit_weights(Place(layer))


@pytest.mark.parametrize("outputs", ["classes", "sign"])
def test_logit_weights_are_the_derivative_of_the_logits(outputs):
    model, tokens = random_perceptron(BITS, n_layers=2, outputs=outputs), questions(BITS, n=1).tokens
    past, post = model.run_to(model.read(tokens), Place(1))

    def answer(post: Tensor) -> Tensor:
        return model.answer_from(past, post, Place(1))

    jacobian = torch.autograd.functional.jacobian(answer, post)[0, :, 0, 0]  # (class, neuron)
    torch.testing.assert_close(jacobian.T, model.logit_weights(Place(1)).detach())
