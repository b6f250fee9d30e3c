"""Tables of tokens against the plain network's attention on every pair of symbols."""

from __future__ import annotations

import pytest
import torch
from builders import random_transformer
from torch import Tensor

from general_circuits.models.transformer import Transformer
from general_circuits.training.reduced.shape import Shape
from general_circuits.training.reduced.tape import run
from general_circuits.training.reduced.tokens import Tokens

P, N_CLASSES, LARGE = 5, 3, 10**6
NORMALISATIONS = pytest.mark.parametrize("normalisation", ["none", "pre", "post"])


def tables_of(batch_size: int = 4, **settings) -> tuple[Transformer, Tokens]:
    """Return a random network with all biases, and its tables, computed."""
    model = random_transformer(P + 1, N_CLASSES, biases="all", **settings)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    tokens = Tokens(Shape(model, batch_size))
    run(tokens.tape.forward)
    return model, tokens


def all_pairs() -> Tensor:
    """Return the tokens of every pair, (25, 3), a changing slowest."""
    symbols = torch.arange(P)
    pairs = torch.cartesian_prod(symbols, symbols)
    return torch.cat([pairs, torch.full((len(pairs), 1), P)], dim=1)


def first_attention(model: Transformer) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores (example, head, query, key), values (example, head, key, d_head) and `resid_pre` of all pairs."""
    with torch.no_grad():
        resid = model.read(all_pairs())
        block = model.block(0)
        x = block.ln1(resid) if block.normalisation == "pre" else resid
        queries, keys, values = (
            torch.einsum("epd,hdk->ehpk", x, weight) + bias.unsqueeze(1)
            for weight, bias in (
                (block.attn.W_Q, block.attn.b_Q),
                (block.attn.W_K, block.attn.b_K),
                (block.attn.W_V, block.attn.b_V),
            )
        )
        return queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5, values, resid


@NORMALISATIONS
@pytest.mark.parametrize("n_layers", [1, 2])
def test_scores_of_the_last_position_are_those_of_the_plain_network_minus_that_for_itself(n_layers, normalisation):
    model, tokens = tables_of(n_layers=n_layers, normalisation=normalisation)
    scores, _, _ = first_attention(model)
    relative = scores[:, :, 2, :2] - scores[:, :, 2, 2:]  # (example, head, key)
    a, b = all_pairs()[:, 0], all_pairs()[:, 1]
    torch.testing.assert_close(tokens.scores.data[a], relative[:, :, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(tokens.scores.data[P + b], relative[:, :, 1], rtol=0, atol=1e-12)


@NORMALISATIONS
def test_values_are_those_of_the_plain_network_minus_that_of_equals(normalisation):
    model, tokens = tables_of(normalisation=normalisation)
    _, values, _ = first_attention(model)
    relative = (values[:, :, :2] - values[:, :, 2:]).transpose(1, 2).flatten(2)  # (example, position, head · d_head)
    a, b = all_pairs()[:, 0], all_pairs()[:, 1]
    torch.testing.assert_close(tokens.values.data[a], relative[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(tokens.values.data[P + b], relative[:, 1], rtol=0, atol=1e-12)


@NORMALISATIONS
def test_scores_of_the_second_position_differ_from_the_plain_ones_by_a_shift_of_both(normalisation):
    """The softmax over its two keys is therefore the same."""
    model, tokens = tables_of(n_layers=2, normalisation=normalisation)
    scores, _, _ = first_attention(model)
    a, b = all_pairs()[:, 0], all_pairs()[:, 1]
    ours = torch.stack([tokens.pair_scores.data[b * P + a], tokens.self_scores.data[b]], dim=-1)  # (example, head, key)
    shift = ours - scores[:, :, 1, :2]
    torch.testing.assert_close(shift[..., 0], shift[..., 1], rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.softmax(-1), scores[:, :, 1, :2].softmax(-1), rtol=0, atol=1e-12)


@NORMALISATIONS
def test_the_base_and_weighted_values_are_the_residual_stream_after_attention(normalisation):
    """The last position's `resid_mid` is `base` + Σ weight · relative value · W_O, before a norm that follows."""
    model, tokens = tables_of(normalisation=normalisation)
    scores, values, resid = first_attention(model)
    with torch.no_grad():
        pattern = scores[:, :, 2].softmax(dim=-1)
        z = (pattern.unsqueeze(2) @ values).squeeze(2).flatten(1)  # (example, head · d_head)
        expected = resid[:, 2] + model.block(0).attn.write(z)
        a, b = all_pairs()[:, 0], all_pairs()[:, 1]
        by_head = [tokens.values.data[rows].unflatten(1, (2, 4)) for rows in (a, P + b)]
        relative = sum(pattern[:, :, i, None] * value for i, value in enumerate(by_head))
        ours = tokens.base.data[-1] + relative.flatten(1) @ model.block(0).attn.W_O.flatten(0, 1)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_a_single_block_has_the_base_of_equals_alone():
    assert len(tables_of()[1].base.data) == 1
    assert len(tables_of(n_layers=2)[1].base.data) == 2 * P + 1


@NORMALISATIONS
@pytest.mark.parametrize("n_layers", [2, 3])
def test_later_blocks_have_keys_and_values_of_the_first_position_without_the_bias_of_keys(n_layers, normalisation):
    model, tokens = tables_of(n_layers=n_layers, normalisation=normalisation)
    assert [later.block for later in tokens.later] == [model.block(layer) for layer in range(1, n_layers)]
    with torch.no_grad():
        resid = model.read(all_pairs()[::P])  # every a once, with b = 0
        for layer, later in enumerate(tokens.later, start=1):
            resid = model.block(layer - 1)(resid)
            block = model.block(layer)
            first = (block.ln1(resid) if normalisation == "pre" else resid)[:, 0]
            keys = torch.einsum("ed,hdk->ehk", first, block.attn.W_K).flatten(1)
            values = (torch.einsum("ed,hdk->ehk", first, block.attn.W_V) + block.attn.b_V).flatten(1)
            torch.testing.assert_close(later.keys.data, keys, rtol=0, atol=1e-12)
            torch.testing.assert_close(later.values.data, values, rtol=0, atol=1e-12)


def test_the_unembedding_is_padded_with_zeros():
    model, tokens = tables_of()
    assert tuple(tokens.W_U.data.shape) == (8, 16)
    assert torch.equal(tokens.W_U.data[:, :N_CLASSES], model.unembed.W_U.detach())
    assert (tokens.W_U.data[:, N_CLASSES:] == 0).all()
    assert (tokens.logit_bias.data[:, N_CLASSES:] == 0).all()


@pytest.mark.parametrize(("batch_size", "is_folded"), [(4, False), (5, True)])
def test_a_folded_output_takes_the_bias_of_the_neurons_along(batch_size, is_folded):
    model, tokens = tables_of(batch_size, n_layers=2)
    mlp, unembed = model.block(1).mlp, model.unembed
    with torch.no_grad():
        bias = unembed.b_U + (mlp.b_out @ unembed.W_U if is_folded else 0.0)
        torch.testing.assert_close(tokens.logit_bias.data[0, :N_CLASSES], bias, rtol=0, atol=1e-12)
        if is_folded:
            product = mlp.W_out @ unembed.W_U
            torch.testing.assert_close(tokens.folded.data[:, :N_CLASSES], product, rtol=0, atol=1e-12)
    assert hasattr(tokens, "folded") == is_folded


def test_the_table_holds_what_each_head_adds_to_neurons_and_logits():
    """Row head · 10 + position · 5 + symbol is the relative value times W_O of its head, times W_in and W_U."""
    model, tokens = tables_of(LARGE)
    attention, mlp, unembed = model.block(0).attn, model.block(0).mlp, model.unembed
    with torch.no_grad():
        for head in range(2):
            written = tokens.values.data[:, 4 * head : 4 * head + 4] @ attention.W_O[head]  # (2 · symbol, d_model)
            rows = tokens.table.data[2 * P * head : 2 * P * (head + 1)]
            torch.testing.assert_close(rows[:, :12], written @ mlp.W_in, rtol=0, atol=1e-12)
            torch.testing.assert_close(rows[:, 12 : 12 + N_CLASSES], written @ unembed.W_U, rtol=0, atol=1e-12)
            assert (rows[:, 12 + N_CLASSES :] == 0).all()
        base = tokens.base.data
        torch.testing.assert_close(tokens.table_base.data[:, :12], base @ mlp.W_in + mlp.b_in, rtol=0, atol=1e-12)


def test_the_two_positions_of_a_table_differ_by_one_row_for_every_symbol():
    _, tokens = tables_of(LARGE)
    by_position = tokens.table.data.view(2, 2, P, -1)  # (head, position, symbol, column)
    difference = by_position[:, 1] - by_position[:, 0]
    torch.testing.assert_close(difference, difference[:, :1].expand_as(difference), rtol=0, atol=1e-12)
    assert (difference[..., :12] != 0).any()
