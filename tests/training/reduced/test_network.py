"""The reduced network against the plain one by autograd, for every option and every way of multiplying out."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from builders import random_questions, random_transformer
from torch import Tensor

from general_circuits.models.presets import PRESETS
from general_circuits.models.transformer import Transformer
from general_circuits.tasks.examples import Examples
from general_circuits.training import losses
from general_circuits.training.reduced import network
from general_circuits.training.reduced.network import Reduced

N_CLASSES = 3
"""Fewer than the d_model = 8 of `network_of`, so that W_out·W_U is worth multiplying out in large batches."""

SMALL, MEDIUM, LARGE = 4, 15, 10**6
"""Batch sizes for which nothing is multiplied out, W_out·W_U is, and there is a table as well."""

BRANCHES = {SMALL: (False, False), MEDIUM: (True, False), LARGE: (True, True)}
"""Choices for each batch size, with one layer and no normalisation: is the output folded, and is there a table?"""


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take four examples per slice, so that eleven are two slices and a remainder."""
    monkeypatch.setattr(network, "EXAMPLES_PER_SLICE", 4)


def network_of(n_symbols: int = 5, n_classes: int = N_CLASSES, **settings) -> Transformer:
    return random_transformer(n_symbols + 1, n_classes, **settings)


def questions(n: int = 11, seed: int = 0, n_symbols: int = 5, n_classes: int = N_CLASSES) -> Examples:
    return random_questions(n, n_symbols, n_classes, seed)


def by_autograd(
    model: Transformer, examples: Examples, precision: torch.dtype, loss: str = "cross_entropy"
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and gradients of the plain network, without writing any `.grad`."""
    logits = model.answer(examples.tokens)
    value = losses.named(loss).mean(logits.to(precision), examples.labels)
    names, weights = zip(*model.named_parameters(), strict=True)
    return logits.detach(), dict(zip(names, torch.autograd.grad(value, weights), strict=True))


def gradients_of(model: Transformer) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


def assert_equal(
    reduced: Reduced,
    model: Transformer,
    examples: Examples,
    expected: tuple[Tensor, dict[str, Tensor]] | None = None,
    precision: torch.dtype = torch.float64,
    tolerance: float = 1e-10,
) -> None:
    """Check logits and gradients to `tolerance` of the largest of either, or of 1 if that is larger."""
    logits, gradients = expected or by_autograd(model, examples, precision)
    atol = tolerance * max(1.0, logits.abs().max().item())
    torch.testing.assert_close(reduced.answer(examples.tokens), logits, rtol=0, atol=atol)
    reduced.gradients(examples.tokens, examples.labels, precision)
    atol = tolerance * max(1.0, *(gradient.abs().max().item() for gradient in gradients.values()))
    for name, gradient in gradients_of(model).items():
        torch.testing.assert_close(
            gradient, gradients[name], rtol=0, atol=atol, msg=lambda m, name=name: f"{name}\n{m}"
        )


def all_pairs(n_symbols: int) -> Tensor:
    symbols = torch.arange(n_symbols)
    pairs = torch.cartesian_prod(symbols, symbols)
    return torch.cat([pairs, torch.full((len(pairs), 1), n_symbols)], dim=1)


# Every option


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("biases", ["none", "mlp", "blocks", "all"])
@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
def test_logits_and_gradients_are_the_plain_networks(normalisation, biases, activation, positions, n_layers):
    model = network_of(
        normalisation=normalisation, biases=biases, activation=activation, positions=positions, n_layers=n_layers
    )
    several, one_slice = questions(11), questions(3, seed=1)  # three examples are also the remainder of eleven
    expected = [by_autograd(model, examples, torch.float64) for examples in (several, one_slice)]
    for batch_size in (SMALL, MEDIUM, LARGE):
        reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
        folds, has_table = BRANCHES[batch_size]
        assert reduced.shape.folds_output == (folds and normalisation == "none")
        assert reduced.shape.has_table == (has_table and normalisation == "none" and n_layers == 1)
        assert_equal(reduced, model, several, expected[0])
        assert_equal(reduced, model, one_slice, expected[1])
        assert sorted(reduced.slices) == [3, 4]


@pytest.mark.parametrize("batch_size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize(
    "settings",
    [{}, {"n_layers": 2}, {"n_layers": 2, "normalisation": "pre"}, {"n_layers": 2, "normalisation": "post"}],
    ids=str,
)
def test_quadratic_neurons(settings, batch_size):
    model = network_of(activation="quadratic", biases="all", **settings)
    assert_equal(Reduced(model, batch_size, losses.named("cross_entropy")), model, questions())


@pytest.mark.parametrize("batch_size", [64, 600], ids=["nothing folded", "as much as can be"])
@pytest.mark.parametrize("preset", ["power", "nanda", "pre_norm"])
def test_the_presets_of_the_field(preset, batch_size, monkeypatch):
    """The presets have their real widths and initial weights here."""
    monkeypatch.undo()
    chosen = PRESETS[preset]
    model = Transformer(chosen.model, chosen.vocabulary).initialise(torch.Generator().manual_seed(0)).double()
    examples = questions(batch_size, 0, chosen.vocabulary.n_symbols, chosen.vocabulary.n_classes)
    assert_equal(Reduced(model, batch_size, losses.named("cross_entropy")), model, examples)


@pytest.mark.parametrize("batch_size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("n_heads", [1, 8])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_one_head_and_heads_of_one_coordinate(n_layers, n_heads, batch_size):
    model = network_of(n_layers=n_layers, n_heads=n_heads, biases="all")
    assert_equal(Reduced(model, batch_size, losses.named("cross_entropy")), model, questions())


@pytest.mark.parametrize(
    ("n_symbols", "n_classes", "d_model", "has_table"),
    [
        (5, 2, 8, True),
        (13, 5, 8, True),
        (5, 7, 8, True),  # more classes than symbols
        (7, 7, 8, True),
        (5, 15, 18, True),  # a table's columns of logits are padded to 16
        (5, 16, 18, True),
        (5, 17, 18, True),
        (5, 8, 8, False),  # nothing to save with as many classes as d_model
        (5, 11, 8, False),
        (2, 2, 8, True),
        (5, 3, 7, True),  # with one head of an odd width
    ],
)
def test_other_numbers_of_symbols_and_classes(n_symbols, n_classes, d_model, has_table):
    model = network_of(n_symbols, n_classes, d_model=d_model, n_heads=1 if d_model == 7 else 2, biases="all")
    for batch_size in (SMALL, LARGE):
        reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
        assert reduced.shape.has_table == (has_table and batch_size == LARGE)
        assert_equal(reduced, model, questions(11, 0, n_symbols, n_classes))


@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
def test_a_batch_larger_than_the_real_slice(normalisation, monkeypatch):
    monkeypatch.undo()
    assert network.EXAMPLES_PER_SLICE == 1024
    model, examples = network_of(normalisation=normalisation), questions(1100)
    reduced = Reduced(model, 1100, losses.named("cross_entropy"))
    assert reduced.shape.has_table == (normalisation == "none")
    assert_equal(reduced, model, examples)
    assert sorted(reduced.slices) == [76, 1024]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_size", [SMALL, MEDIUM, LARGE])
@pytest.mark.parametrize("settings", [{}, {"n_layers": 2, "normalisation": "pre"}], ids=str)
@pytest.mark.parametrize("loss", losses.names())
def test_every_loss_has_the_plain_networks_gradients(loss, settings, batch_size, precision):
    model, examples = network_of(biases="all", **settings), questions()
    expected = by_autograd(model, examples, precision, loss)
    assert any(gradient.abs().max() > 0.1 for gradient in expected[1].values())
    tolerance = 1e-10 if precision == torch.float64 else 1e-5
    assert_equal(Reduced(model, batch_size, losses.named(loss)), model, examples, expected, precision, tolerance)


# What is multiplied out


@pytest.mark.parametrize(("batch_size", "expected"), [(4, False), (5, True)])
def test_the_output_is_folded_from_the_batch_size_that_saves_operations(batch_size, expected):
    """Folding saves batch_size · (8 − 3) multiplications per neuron, and takes 8 · 3 = 24."""
    assert Reduced(network_of(n_layers=2), batch_size, losses.named("cross_entropy")).shape.folds_output == expected


@pytest.mark.parametrize(("batch_size", "expected"), [(52, False), (53, True)])
def test_there_is_a_table_if_the_batch_exceeds_four_times_width_plus_symbols(batch_size, expected):
    reduced = Reduced(network_of(), batch_size, losses.named("cross_entropy"))  # 4 · (8 + 5) = 52
    assert reduced.shape.folds_output
    assert reduced.shape.has_table == expected


@pytest.mark.parametrize(
    "settings", [{"normalisation": "pre"}, {"normalisation": "post"}, {"n_layers": 2}, {"n_layers": 3}], ids=str
)
def test_there_is_no_table_with_layer_norms_or_several_layers(settings):
    assert not Reduced(network_of(**settings), LARGE, losses.named("cross_entropy")).shape.has_table


def test_every_way_of_multiplying_out_gives_the_same():
    model, examples = network_of(biases="all"), questions()
    answers, gradients = [], []
    for batch_size in BRANCHES:
        reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
        assert (reduced.shape.folds_output, reduced.shape.has_table) == BRANCHES[batch_size]
        answers.append(reduced.answer(examples.tokens))
        reduced.gradients(examples.tokens, examples.labels, torch.float64)
        gradients.append(gradients_of(model))
    for answer, gradient in zip(answers[1:], gradients[1:], strict=True):
        torch.testing.assert_close(answer, answers[0], rtol=0, atol=1e-12)
        for name in gradient:
            torch.testing.assert_close(gradient[name], gradients[0][name], rtol=0, atol=1e-12)


# Examples of every kind

CASES = pytest.mark.parametrize(
    ("settings", "batch_size"),
    [
        ({"biases": "all"}, SMALL),
        ({"biases": "all"}, MEDIUM),
        ({"biases": "all"}, LARGE),
        ({"biases": "all", "n_layers": 2}, SMALL),
        ({"biases": "all", "n_layers": 2}, MEDIUM),
        ({"biases": "all", "n_layers": 3, "normalisation": "pre"}, SMALL),
        ({"biases": "all", "n_layers": 2, "normalisation": "post", "activation": "gelu"}, SMALL),
    ],
    ids=str,
)
"""Every branch of the code, with all biases."""


@CASES
@pytest.mark.parametrize("slices", [1, 4])
def test_batches_in_turn_leave_nothing_behind(settings, batch_size, slices, monkeypatch):
    monkeypatch.setattr(network, "EXAMPLES_PER_SLICE", slices)
    model = network_of(**settings)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    for turn, n in enumerate((9, 1, 4, 11, 2, 9, 8)):
        reduced.answer(questions(5, seed=100 + turn).tokens)  # other examples in between
        assert_equal(reduced, model, questions(n, seed=turn))


@CASES
def test_every_pair_and_every_label_alone(settings, batch_size):
    model = network_of(n_symbols=2, **settings)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    for question in all_pairs(2):
        for label in range(N_CLASSES):
            assert_equal(reduced, model, Examples(question[None], torch.tensor([label])))


@CASES
def test_symbols_and_pairs_may_repeat(settings, batch_size):
    model = network_of(**settings)
    tokens = torch.tensor([[2, 2, 5], [0, 4, 5], [2, 2, 5], [4, 0, 5], [0, 0, 5], [2, 2, 5], [0, 4, 5]])
    labels = torch.tensor([0, 1, 2, 1, 1, 0, 1])
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    assert_equal(reduced, model, Examples(tokens, labels))
    assert_equal(reduced, model, Examples(tokens[:1].expand(6, 3), labels[:1].expand(6)))


@CASES
def test_symbols_that_no_example_has_get_no_gradient(settings, batch_size):
    model = network_of(**settings)
    examples = Examples(torch.tensor([[0, 1, 5], [1, 3, 5]]), torch.tensor([0, 2]))
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    reduced.gradients(all_pairs(5), torch.zeros(25, dtype=torch.long), torch.float64)
    assert (model.embed.W_E.grad != 0).all()
    assert_equal(reduced, model, examples)
    if not reduced.shape.has_table:  # with a table, gradients pass through symbol 0 and cancel only to rounding
        assert (model.embed.W_E.grad[[2, 4]] == 0).all()
    assert (model.embed.W_E.grad[[2, 4]].abs() < 1e-15).all()


# Gradients


@CASES
def test_gradients_are_replaced(settings, batch_size):
    model, examples = network_of(**settings), questions()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    once = gradients_of(model)
    for weight in model.parameters():
        weight.grad.fill_(7.0)
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    assert all(torch.equal(gradient, once[name]) for name, gradient in gradients_of(model).items())


@CASES
def test_gradients_stay_in_the_memory_they_began_in(settings, batch_size):
    model, examples = network_of(**settings), questions()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    places = [weight.grad.data_ptr() for weight in model.parameters()]
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    assert [weight.grad.data_ptr() for weight in model.parameters()] == places


@CASES
def test_a_bias_of_keys_has_no_gradient_and_no_effect(settings, batch_size):
    model, examples = network_of(**settings), questions()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    before = reduced.answer(examples.tokens)
    for block in model.blocks:
        with torch.no_grad():
            block.attn.b_K.add_(3.0)
        block.attn.b_K.grad.fill_(7.0)
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    assert all((block.attn.b_K.grad == 0).all() for block in model.blocks)
    assert torch.equal(reduced.answer(examples.tokens), before)
    torch.testing.assert_close(model.answer(examples.tokens), before, rtol=0, atol=1e-9)


@CASES
def test_weights_are_read_and_never_written(settings, batch_size):
    model, examples = network_of(**settings), questions()
    before = copy.deepcopy(model.state_dict())
    positions = model.pos_embed.W_pos.clone()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    reduced.answer(examples.tokens)
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert torch.equal(model.pos_embed.W_pos, positions)


@CASES
def test_examples_are_not_written(settings, batch_size):
    model, examples = network_of(**settings), questions()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    reduced.answer(examples.tokens)
    assert torch.equal(examples.tokens, questions().tokens)
    assert torch.equal(examples.labels, questions().labels)


@CASES
def test_answers_follow_weights_that_change_in_place(settings, batch_size):
    model, other = network_of(**settings), network_of(seed=1, **settings)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    assert_equal(reduced, model, questions())
    model.load_state_dict(other.state_dict())
    assert_equal(reduced, model, questions(), by_autograd(other, questions(), torch.float64))


@CASES
def test_answers_are_memory_of_their_own(settings, batch_size):
    reduced = Reduced(network_of(**settings), batch_size, losses.named("cross_entropy"))
    first = reduced.answer(questions(3, seed=1).tokens)
    kept = first.clone()
    reduced.answer(questions(3, seed=2).tokens)
    assert torch.equal(first, kept)
    assert not first.requires_grad


# Equal bytes


@CASES
def test_equal_networks_give_equal_bytes(settings, batch_size):
    models = [network_of(dtype=torch.float32, **settings) for _ in range(2)]
    first, second = (Reduced(model, batch_size, losses.named("cross_entropy")) for model in models)
    examples = questions()
    before = questions(6, seed=3)
    second.gradients(before.tokens, before.labels, torch.float32)  # what came before does not matter
    answers = [reduced.answer(examples.tokens) for reduced in (first, first, second)]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
    gradients = []
    for reduced, model in ((first, models[0]), (first, models[0]), (second, models[1])):
        reduced.gradients(examples.tokens, examples.labels, torch.float32)
        gradients.append(gradients_of(model))
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name
        assert torch.equal(gradient, gradients[2][name]), name


# Precision


@CASES
@pytest.mark.parametrize("precision", [torch.float32, torch.float64], ids=str)
def test_a_network_in_float32_is_equal_to_rounding(settings, batch_size, precision):
    """The tolerance is 2e-5 of the largest entry; differences are under 2e-6."""
    model = network_of(dtype=torch.float32, **settings)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    assert reduced.answer(questions().tokens).dtype == torch.float32
    assert_equal(reduced, model, questions(), precision=precision, tolerance=2e-5)
    assert all(weight.grad.dtype == torch.float32 for weight in model.parameters())


@pytest.mark.parametrize("batch_size", [SMALL, MEDIUM, LARGE])
def test_a_loss_in_float64_keeps_gradients_that_float32_rounds_away(batch_size):
    """One logit is 20 above the others, and e⁻²⁰ ≈ 2e-9 is lost beside 1 in float32."""
    model = network_of(dtype=torch.float32, biases="all")
    with torch.no_grad():
        model.unembed.W_U.mul_(1e-3)
        model.unembed.b_U.copy_(torch.tensor([20.0, 0.0, 0.0]))
    tokens = questions().tokens
    examples = Examples(tokens, torch.zeros(len(tokens), dtype=torch.long))
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    reduced.gradients(examples.tokens, examples.labels, torch.float32)
    assert model.unembed.b_U.grad[0] == 0
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    expected = by_autograd(model, examples, torch.float64)[1]["unembed.b_U"]
    torch.testing.assert_close(model.unembed.b_U.grad, expected, rtol=1e-3, atol=0)
    assert model.unembed.b_U.grad[0].item() == pytest.approx(-2 * math.exp(-20), rel=0.1)


# Weights that are not finite


def spoiled(model: Transformer, value: float) -> Iterator[tuple[str, int]]:
    """Set one entry at a time to `value` and yield its weight's name and row.

    The entry is the last one of each weight's first and last row, and of every row of embeddings.
    """
    for name, weight in model.named_parameters():
        rows = weight.data.view(len(weight), -1)
        for row in range(len(rows)) if name == "embed.W_E" else {0, len(rows) - 1}:
            kept = rows[row, -1].item()
            rows[row, -1] = value
            yield name, row
            rows[row, -1] = kept


@CASES
def test_a_weight_that_is_nan_reaches_the_logits_that_it_reaches_in_the_plain_network(settings, batch_size):
    """There are two exceptions.

    A bias of keys is not read. With a table, the first symbol's embedding reaches every example.
    """
    model, tokens = network_of(**settings), all_pairs(5)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    for name, row in spoiled(model, float("nan")):
        is_nan = reduced.answer(tokens).isnan()
        with torch.no_grad():
            expected = model.answer(tokens).isnan()
        if "b_K" in name:
            assert not is_nan.any()
        elif reduced.shape.has_table and name == "embed.W_E" and row == 0:
            assert is_nan.all()
        else:
            assert torch.equal(is_nan, expected), (name, row)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
@CASES
def test_a_weight_that_is_infinite_leaves_no_logit_finite_that_the_plain_network_does_not(settings, batch_size, value):
    """There are two exceptions.

    A bias of keys is not read. An infinite W_K of the first block gives all attention to one position, or NaN, because
    its keys are relative.
    """
    model, tokens = network_of(**settings), all_pairs(5)
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    for name, row in spoiled(model, value):
        is_finite = reduced.answer(tokens).isfinite()
        with torch.no_grad():
            expected = model.answer(tokens).isfinite()
        if "b_K" in name:
            assert is_finite.all()
        elif name != "blocks.0.attn.W_K":
            assert not (is_finite & ~expected).any(), (name, row)


@CASES
def test_gradients_of_a_diverged_network_are_nan_until_its_weights_are_finite_again(settings, batch_size):
    model, examples = network_of(**settings), questions()
    reduced = Reduced(model, batch_size, losses.named("cross_entropy"))
    with torch.no_grad():
        model.embed.W_E[-1, 0] = float("nan")
    reduced.gradients(examples.tokens, examples.labels, torch.float64)
    assert model.unembed.W_U.grad.isnan().all()
    assert model.embed.W_E.grad.isnan().any()
    with torch.no_grad():
        model.embed.W_E[-1, 0] = 0.5
    assert_equal(reduced, model, examples)
