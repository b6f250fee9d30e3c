"""Transformers against networks made of torch's own layers, and the names and shapes of their weights."""

from __future__ import annotations

import math

import pytest
import torch
from builders import NANDA, VOCABULARY, model_settings, random_examples, random_transformer
from torch import Tensor
from torch_networks import PlainTransformer, in_plain_layout, waves

from general_circuits.models.network import Place
from general_circuits.models.transformer import Transformer, sinusoids
from general_circuits.tasks.vocabulary import Vocabulary

P113 = Vocabulary(2, 113, 113)
NORMALISATIONS, BIASES = ("none", "pre", "post"), ("none", "mlp", "blocks", "all")


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "quadratic"])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_logits_and_gradients_are_those_of_torchs_own_layers(normalisation, biases, activation, positions, n_layers):
    model = random_transformer(
        normalisation=normalisation, biases=biases, activation=activation, positions=positions, n_layers=n_layers
    )
    plain = PlainTransformer(model.settings, d_vocab=6, d_vocab_out=5).double()
    weights = in_plain_layout(dict(model.named_parameters()), model.settings)
    if positions == "sinusoidal":
        weights["positions.weight"] = waves(3, 8)
        model.pos_embed.W_pos = weights["positions.weight"]  # computed in float64, not converted from float32
    plain.load_state_dict(weights)
    tokens = random_examples().tokens

    ours, theirs = model(tokens), plain(tokens)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-10)  # squares of squares grow large

    direction = torch.linspace(-1, 1, ours.numel(), dtype=torch.float64).view_as(ours)
    (ours * direction).sum().backward()
    (theirs * direction).sum().backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    expected = {name: weight.grad for name, weight in plain.named_parameters()}
    largest = max(1.0, *(gradient.abs().max().item() for gradient in expected.values()))
    for name, gradient in in_plain_layout(gradients, model.settings).items():
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=1e-12 * largest, msg=name)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("changed", [0, 1, 2])
def test_a_token_moves_its_own_and_later_positions_only(normalisation, changed):
    model = random_transformer(normalisation=normalisation, n_layers=2)
    before = random_examples().tokens
    after = before.clone()
    after[:, changed] = (before[:, changed] + 1) % 6
    moved = (model(before) - model(after)).abs().amax(dim=(0, 2))  # (position)
    assert (moved[:changed] < 1e-12).all()
    assert (moved[changed:] > 1e-6).all()


def test_names_and_shapes_are_transformerlens():
    model = Transformer(NANDA, P113)
    assert {name: tuple(weight.shape) for name, weight in model.state_dict().items()} == {
        "embed.W_E": (114, 128),
        "pos_embed.W_pos": (3, 128),
        "blocks.0.attn.W_Q": (4, 128, 32),
        "blocks.0.attn.W_K": (4, 128, 32),
        "blocks.0.attn.W_V": (4, 128, 32),
        "blocks.0.attn.W_O": (4, 32, 128),
        "blocks.0.mlp.W_in": (128, 512),
        "blocks.0.mlp.b_in": (512,),
        "blocks.0.mlp.W_out": (512, 128),
        "blocks.0.mlp.b_out": (128,),
        "unembed.W_U": (128, 113),
    }
    assert sum(weight.numel() for weight in model.parameters()) == 226_688


def test_biases_of_blocks_are_all_but_the_unembeddings():
    shapes = {
        biases: set(Transformer(model_settings(biases=biases), VOCABULARY).state_dict()) for biases in ("blocks", "all")
    }
    assert shapes["all"] - shapes["blocks"] == {"unembed.b_U"}
    assert shapes["blocks"] < shapes["all"]


def test_every_option_adds_its_parameters():
    settings = model_settings(n_layers=2, normalisation="pre", biases="all", positions="sinusoidal")
    shapes = {name: tuple(weight.shape) for name, weight in Transformer(settings, VOCABULARY).state_dict().items()}
    assert "pos_embed.W_pos" not in shapes
    assert {name: shape for name, shape in shapes.items() if ".b_" in name or "ln" in name} == {
        **{f"blocks.{i}.attn.b_{x}": (2, 4) for i in (0, 1) for x in "QKV"},
        **{f"blocks.{i}.attn.b_O": (8,) for i in (0, 1)},
        **{f"blocks.{i}.mlp.b_in": (12,) for i in (0, 1)},
        **{f"blocks.{i}.mlp.b_out": (8,) for i in (0, 1)},
        **{f"blocks.{i}.ln{j}.{x}": (8,) for i in (0, 1) for j in (1, 2) for x in "wb"},
        **{f"ln_final.{x}": (8,) for x in "wb"},
        "unembed.b_U": (5,),
    }
    assert "ln_final.w" not in Transformer(model_settings(normalisation="post"), VOCABULARY).state_dict()


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("site", "units"), [("mlp", 12), ("head_outputs", 8), ("heads", 8)])
def test_stopping_at_a_place_and_going_on_changes_nothing(normalisation, layer, site, units):
    model, tokens = random_transformer(normalisation=normalisation, n_layers=2, biases="all"), random_examples().tokens
    place = Place(layer, site)
    past, found = model.run_to(model.read(tokens), place)
    positions = 1 if layer == 1 else 3  # in the last layer only the last position reaches the answer
    assert past.shape == (10, positions, 8)
    assert found.shape == (10, positions, units)
    torch.testing.assert_close(model.answer_from(past, found, place), model.answer(tokens))
    torch.testing.assert_close(model.answer(tokens), model(tokens)[:, 2])


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("biases", ["none", "all"])
@pytest.mark.parametrize("layer", [0, 1])
def test_inputs_and_weights_give_the_neurons_and_their_outputs_give_the_answer(layer, biases, normalisation):
    model, tokens = random_transformer(normalisation=normalisation, n_layers=2, biases=biases), random_examples().tokens
    place, x = Place(layer), model.read(tokens)
    past, post = model.run_to(x, place)
    into, *bias, outward = (model.get_parameter(name) for name in model.neuron_weights(place))
    assert len(bias) == (biases != "none")
    torch.testing.assert_close(model.activation(sum(bias, model.neuron_inputs(x, place) @ into)), post)
    written, silent = model.write(post, place), model.write(torch.zeros_like(post), place)
    torch.testing.assert_close(written - silent, post @ outward)
    torch.testing.assert_close(model.answer_from_written(past, written, place), model.answer(tokens))


def test_a_head_that_is_zeroed_is_a_head_whose_output_weights_are_zero():
    model, tokens = random_transformer(n_layers=2, biases="all"), random_examples().tokens
    past, z = model.run_to(model.read(tokens), Place(0, "heads"))
    z[:, :, 4:] = 0
    answers = model.answer_from(past, z, Place(0, "heads"))
    with torch.no_grad():
        model.blocks[0].attn.W_O[1] = 0
    torch.testing.assert_close(answers, model.answer(tokens))


def test_a_blank_has_no_inputs_but_positions_and_the_last_token():
    model, tokens = random_transformer(), random_examples().tokens
    blank = model.blank(tokens)
    torch.testing.assert_close(blank[:, :2], model.pos_embed.W_pos[:2].expand(10, 2, 8))
    torch.testing.assert_close(blank[:, 2], model.read(tokens)[:, 2])


def test_weight_norms_at_worked_values_do_not_change_when_scale_moves_from_w_in_to_w_out():
    model = random_transformer(normalisation="none")
    attn, mlp = model.blocks[0].attn, model.blocks[0].mlp
    with torch.no_grad():
        for weight in (mlp.W_in, mlp.W_out, attn.W_V, attn.W_O):
            weight.zero_()
        mlp.W_in[:2, 5], mlp.W_out[5, 0] = torch.tensor([3.0, 4.0]), 2.0
        attn.W_V[1, 0, 2], attn.W_V[1, 1, 3], attn.W_O[1, 2, :2] = 3.0, 4.0, torch.tensor([5.0, 12.0])
    expected = {"mlp": {5: 10.0}, "head_outputs": {6: 39.0}, "heads": {1: 65.0}}
    for site, norms in expected.items():
        found = model.weight_norms(Place(0, site))
        assert {i: x for i, x in enumerate(found.tolist()) if x} == norms
    before = model.weight_norms(Place(0))
    with torch.no_grad():
        mlp.W_in *= 7
        mlp.W_out /= 7
    torch.testing.assert_close(model.weight_norms(Place(0)), before)


@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_frozen_norms_answer_the_same_with_other_gradients(normalisation):
    model, tokens = random_transformer(normalisation=normalisation), random_examples().tokens
    past, post = (part.detach() for part in model.run_to(model.read(tokens), Place(0)))

    def gradient() -> Tensor:
        (found,) = torch.autograd.grad(model.answer_from(past, units, Place(0))[:, 0].sum(), units)
        return found[:, 0]

    units = post.clone().requires_grad_()
    free = gradient()
    with model.frozen_norms():
        torch.testing.assert_close(model.answer_from(past, post, Place(0)), model.answer(tokens))
        frozen = gradient()
    assert (frozen - free).abs().max() > 1e-3
    torch.testing.assert_close(gradient(), free)
    # A frozen norm is linear: it centres, divides by a fixed scale and multiplies by its weights.
    norm = model.ln_final if normalisation == "pre" else model.blocks[0].ln2
    resid = past[:, 0] + model.blocks[0].mlp.write(post[:, 0])
    scale = (resid.var(dim=1, correction=0) + norm.eps).sqrt()
    W_out = model.blocks[0].mlp.W_out
    expected = ((W_out - W_out.mean(dim=1, keepdim=True)) * norm.w) @ model.unembed.W_U[:, 0] / scale[:, None]
    torch.testing.assert_close(frozen, expected)


def test_logit_weights_are_the_derivative_of_the_logits():
    model, tokens = random_transformer(n_layers=2, biases="all"), random_examples(n=1).tokens
    past, post = model.run_to(model.read(tokens), Place(1))
    jacobian = torch.autograd.functional.jacobian(lambda post: model.answer_from(past, post, Place(1)), post)
    jacobian = jacobian[0, :, 0]  # (class, position, neuron)
    torch.testing.assert_close(jacobian[:, 0].T, model.logit_weights(Place(1)).detach())


def test_sinusoids_at_worked_values():
    table = sinusoids(n_ctx=3, d_model=4)  # wavelengths 2π and 200π
    expected = [
        [0, 1, 0, 1],
        [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)],
        [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)],
    ]
    torch.testing.assert_close(table, torch.tensor(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("d_model", [1, 7, 128])
def test_sinusoids_entry_by_entry(d_model):
    torch.testing.assert_close(sinusoids(5, d_model).double(), waves(5, d_model), rtol=0, atol=1e-6)
