"""The networks against a plain formulation made of torch's own layers, and their names, shapes and beginnings."""

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
        model.pos_embed.W_pos = weights["positions.weight"]  # in float64, which a conversion of float32 is not
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


def initialised(settings, seed: int, vocabulary: Vocabulary = P113) -> dict[str, Tensor]:
    model = Transformer(settings, vocabulary).initialise(torch.Generator().manual_seed(seed))
    return model.state_dict()


def test_the_generator_decides_every_initial_byte():
    torch.manual_seed(1)
    first = initialised(NANDA, seed=3)
    torch.manual_seed(2)
    second, other = initialised(NANDA, seed=3), initialised(NANDA, seed=4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if "b_" not in name)


def test_weights_begin_normal_with_the_published_standard_deviations():
    for name, weight in initialised(NANDA, seed=0).items():
        if "b_" in name:
            continue
        expected = 1 / math.sqrt(114 if name == "unembed.W_U" else 128)
        n = weight.numel()
        assert abs(weight.std() / expected - 1) < 4 / math.sqrt(2 * n), name
        assert abs(weight.mean() / expected) < 4 / math.sqrt(n), name


def test_the_unembeddings_scale_counts_the_equals_sign():
    generator = torch.Generator().manual_seed(0)
    weights = Transformer(NANDA, P113).initialise(generator)
    repeated = torch.Generator().manual_seed(0)
    for name, weight in weights.named_parameters():
        if "W_" in name:
            unit = torch.empty_like(weight).normal_(generator=repeated)
            scale = 114**-0.5 if name == "unembed.W_U" else 128**-0.5
            torch.testing.assert_close(weight.detach(), unit * scale, rtol=1e-6, atol=1e-9, msg=name)


def test_biases_begin_at_zero_and_layer_norms_at_the_identity():
    weights = initialised(model_settings(biases="all", normalisation="pre", n_layers=2), seed=0)
    for name, weight in weights.items():
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "w":
            assert (weight == 1).all(), name
        elif leaf.startswith("b"):
            assert (weight == 0).all(), name


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("site", "units"), [("mlp", 12), ("head_outputs", 8), ("heads", 8)])
def test_stopping_at_a_place_and_going_on_changes_nothing(normalisation, layer, site, units):
    model, tokens = random_transformer(normalisation=normalisation, n_layers=2, biases="all"), random_examples().tokens
    place = Place(layer, site)
    past, found = model.run_to(model.read(tokens), place)
    positions = 1 if layer == 1 else 3  # of the last layer only the last one reaches the answer
    assert past.shape == (10, positions, 8)
    assert found.shape == (10, positions, units)
    torch.testing.assert_close(model.answer_from(past, found, place), model.answer(tokens))
    torch.testing.assert_close(model.answer(tokens), model(tokens)[:, 2])


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("biases", ["none", "all"])
@pytest.mark.parametrize("layer", [0, 1])
def test_neurons_are_made_of_what_they_read_and_the_answer_of_what_they_write(layer, biases, normalisation):
    model, tokens = random_transformer(normalisation=normalisation, n_layers=2, biases=biases), random_examples().tokens
    place, x = Place(layer), model.read(tokens)
    past, post = model.run_to(x, place)
    into, *bias, outward = (model.get_parameter(name) for name in model.neuron_weights(place))
    assert len(bias) == (biases != "none")
    torch.testing.assert_close(model.activation(sum(bias, model.neuron_inputs(x, place) @ into)), post)
    written, silent = model.write(post, place), model.write(torch.zeros_like(post), place)
    torch.testing.assert_close(written - silent, post @ outward)
    torch.testing.assert_close(model.answer_from_written(past, written, place), model.answer(tokens))


def test_places_are_by_layer_and_a_neuron_of_heads_is_a_whole_head():
    model = random_transformer(n_layers=2)
    assert model.places(["heads", "mlp"]) == [(0, "heads"), (0, "mlp"), (1, "heads"), (1, "mlp")]
    assert [model.width(Place(0, site)) for site in model.sites] == [1, 1, 4]
    assert [len(model.weight_norms(Place(1, site))) for site in model.sites] == [12, 8, 2]


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


def test_weight_norms_at_worked_values_and_whatever_is_scaled_in_and_back_out():
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
    # Frozen, it is linear: what the norm centres, weighs and divides by the scale it found.
    norm = model.ln_final if normalisation == "pre" else model.blocks[0].ln2
    resid = past[:, 0] + model.blocks[0].mlp.write(post[:, 0])
    scale = (resid.var(dim=1, correction=0) + norm.eps).sqrt()
    W_out = model.blocks[0].mlp.W_out
    expected = ((W_out - W_out.mean(dim=1, keepdim=True)) * norm.w) @ model.unembed.W_U[:, 0] / scale[:, None]
    torch.testing.assert_close(frozen, expected)


@pytest.mark.parametrize(
    ("normalisation", "n_layers", "linear_layers"),
    [("none", 1, [0]), ("none", 2, [1]), ("none", 3, [2]), ("pre", 1, []), ("pre", 2, []), ("post", 1, [])],
)
def test_logits_are_linear_only_in_the_last_layer_without_normalisation(normalisation, n_layers, linear_layers):
    model = random_transformer(normalisation=normalisation, n_layers=n_layers)
    linear = [Place(layer) for layer in linear_layers]
    everywhere = model.places(model.sites)
    assert [place for place in everywhere if model.is_linear_from(place)] == linear
    for place in set(everywhere) - set(linear):
        with pytest.raises(ValueError, match=f"{place.site} of layer {place.layer}: the logits are not linear"):
            model.logit_weights(place)


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
