"""Sizes and choices that follow from a network's settings, and the parts of a block against the plain ones."""

from __future__ import annotations

import pytest
import torch
from builders import random_transformer
from torch import Tensor

from general_circuits.models.transformer import Block
from general_circuits.training.reduced.shape import Shape, bias, leaf
from general_circuits.training.reduced.tape import Tape, Value, run

D_MODEL, D_MLP, N_HEADS = 8, 12, 2


def shape_of(batch_size: int = 4, n_classes: int = 3, **settings) -> Shape:
    """Return the shape of a network with five symbols."""
    model = random_transformer(6, n_classes, **settings)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    return Shape(model, batch_size)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def value(data: Tensor) -> Value:
    return Value(data, torch.zeros_like(data))


def test_sizes_are_those_of_the_weights():
    shape = shape_of()
    assert (shape.p, shape.d_model, shape.d_mlp) == (5, D_MODEL, D_MLP)
    assert (shape.n_heads, shape.d_head) == (N_HEADS, 4)
    assert shape.scale == 0.5  # 1 / √4
    assert shape.n_classes == 3


@pytest.mark.parametrize(("n_classes", "columns"), [(1, 16), (15, 16), (16, 16), (17, 32), (113, 128)])
def test_logits_take_whole_cache_lines_of_16_numbers(n_classes, columns):
    assert shape_of(n_classes=n_classes).logit_columns == columns


@pytest.mark.parametrize(("n_layers", "is_deep"), [(1, False), (2, True), (3, True)])
def test_a_network_is_deep_if_it_has_more_than_one_block(n_layers, is_deep):
    shape = shape_of(n_layers=n_layers)
    assert len(shape.blocks) == n_layers
    assert shape.is_deep == is_deep


def test_nothing_is_folded_where_there_are_as_many_classes_as_coordinates():
    """Then W_out·W_U has as many columns as W_out, whatever the batch."""
    assert not shape_of(10**9, n_classes=D_MODEL).folds_output
    assert shape_of(10**9, n_classes=D_MODEL - 1).folds_output


@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_nothing_is_folded_across_a_layer_norm(normalisation):
    shape = shape_of(10**9, normalisation=normalisation)
    assert not shape.folds_output
    assert not shape.has_table


def test_a_leaf_is_the_weight_itself_and_adds_to_its_gradient():
    weight = shape_of().blocks[0].mlp.W_in
    ours = leaf(weight)
    assert ours.data.data_ptr() == weight.data_ptr()
    assert ours.grad is weight.grad
    assert ours.is_sum
    assert not ours.data.requires_grad


def test_a_bias_is_flat_and_may_be_missing():
    attention = shape_of(biases="all").blocks[0].attn
    assert tuple(attention.b_Q.shape) == (N_HEADS, 4)
    assert torch.equal(bias(attention.b_Q).data, attention.b_Q.detach().flatten())
    assert bias(None) is None


def test_heads_lie_side_by_side_in_a_row():
    """Row 0 of head 1 is the second half of row 0."""
    shape, x = shape_of(), value(torch.arange(16.0).view(2, 8))
    assert shape.by_head(x).data[0, 1].tolist() == [4.0, 5.0, 6.0, 7.0]
    assert shape.head_first(x).data[1, 0].tolist() == [4.0, 5.0, 6.0, 7.0]
    assert shape.by_head(x).data.data_ptr() == x.data.data_ptr()


def test_W_O_has_the_heads_one_below_the_other():
    shape = shape_of()
    attention = shape.blocks[0].attn
    W_O = shape.W_O(attention).data
    assert W_O.shape == (N_HEADS * 4, D_MODEL)
    assert torch.equal(W_O[4:], attention.W_O[1].detach())


@pytest.mark.parametrize("normalisation", ["none", "pre", "post"])
def test_the_parts_of_a_block_are_those_of_the_plain_network(normalisation):
    shape = shape_of(normalisation=normalisation, biases="all", activation="gelu")
    block: Block = shape.blocks[0]
    resid, z = random(5, D_MODEL), random(5, N_HEADS * 4)
    tape = Tape(shape.like)
    read = shape.norm_before(tape, value(resid.clone()), block, "ln1")
    mid = shape.attend(tape, value(resid.clone()), value(z.clone()), block, bias(block.attn.b_O))
    post = shape.neurons(tape, mid, block)
    resid_post = shape.join(tape, mid, post, block)
    run(tape.forward)
    with torch.no_grad():
        expected_read = block.ln1(resid) if normalisation == "pre" else resid
        expected_mid = block.attend(resid, z)
        expected_post = block.neurons(expected_mid)
        expected_resid_post = block.join(expected_mid, block.mlp.write(expected_post))
    results, plain = (read, mid, post, resid_post), (expected_read, expected_mid, expected_post, expected_resid_post)
    for ours, theirs in zip(results, plain, strict=True):
        torch.testing.assert_close(ours.data, theirs, rtol=0, atol=1e-12)
