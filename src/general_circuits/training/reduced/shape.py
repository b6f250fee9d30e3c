"""A network's sizes and weights as values of a tape, and the choices that follow from its settings."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from general_circuits.models.network import Place
from general_circuits.models.transformer import Attention, Block, Transformer
from general_circuits.training.reduced.tape import Tape, Value, gradient_of

Norm = Literal["ln1", "ln2"]


def leaf(weight: Tensor) -> Value:
    """Return a weight as a value. Its gradient is a sum: every reader adds to it."""
    return Value(weight.detach(), gradient_of(weight), is_sum=True)


def bias(weight: Tensor | None) -> Value | None:
    """Return a bias as a flat value, or None if the network has none."""
    return None if weight is None else leaf(weight).view(lambda t: t.view(-1))


class Shape:
    """Sizes, weights and choices that both tapes share: the tape of tokens and the tape of a slice of examples.

    The methods `attend`, `neurons` and `join` record the parts of a block that have these names in the plain network.

    Args:
        model: the plain network.
        batch_size: usual number of examples per gradient; the choices depend on it.

    Attributes:
        like: tensor whose dtype and device all memory has.
        p: number of symbols, without "=".
        scale: 1 / √d_head, by which queries are multiplied.
        is_deep: whether there is more than one block.
    """

    def __init__(self, model: Transformer, batch_size: int) -> None:
        settings = model.settings
        self.model, self.settings = model, settings
        self.like = model.embed.W_E.detach()
        self.p, self.d_model = self.like.shape[0] - 1, self.like.shape[1]  # W_E: (symbol + 1, d_model)
        self.n_heads, self.d_mlp = settings.n_heads, settings.d_mlp
        self.d_head = self.d_model // self.n_heads
        self.scale = 1 / math.sqrt(self.d_head)
        self.blocks = [model.block(layer) for layer in range(settings.n_layers)]
        self.is_deep = len(self.blocks) > 1
        self.n_classes = model.unembed.W_U.shape[1]
        self.logit_columns = -(-self.n_classes // 16) * 16
        """Classes rounded up to whole cache lines (16 float32); logits beyond the classes are zero."""

        # Per neuron and example, W_out takes d_model multiplications and W_out·W_U only n_classes. The product itself
        # takes d_model · n_classes per neuron. Nothing can be folded across a layer norm.
        saved = batch_size * (self.d_model - self.n_classes)
        self.folds_output = model.is_linear_from(Place(len(self.blocks) - 1)) and saved > self.d_model * self.n_classes
        """True if W_out·W_U is multiplied out, so that neurons write to the logits directly."""

        # Per weight of W_in, the table saves one multiplication per example. It costs d_model multiplications for
        # W_O·W_in and p for the values of the symbols. Each of these was measured to take as long as four saved ones.
        self.has_table = self.folds_output and not self.is_deep and batch_size > 4 * (self.d_model + self.p)
        """True if every symbol's values are carried on to the neurons' inputs and to the logits."""

    def norm_before(self, tape: Tape, x: Value, block: Block, norm: Norm) -> Value:
        """Residual stream → the input of attention ("ln1") or of neurons ("ln2"), (row, d_model)."""
        return tape.norm(x, getattr(block, norm)) if self.settings.normalisation == "pre" else x

    def norm_after(self, tape: Tape, x: Value, block: Block, norm: Norm) -> Value:
        """Residual stream after attention ("ln1") or neurons ("ln2") wrote to it → its normed form, (row, d_model)."""
        return tape.norm(x, getattr(block, norm)) if self.settings.normalisation == "post" else x

    def neurons(self, tape: Tape, mid: Value, block: Block) -> Value:
        """`resid_mid` (row, d_model) → neurons after the activation, (row, d_mlp)."""
        normed = self.norm_before(tape, mid, block, "ln2")
        pre = tape.linear(normed, leaf(block.mlp.W_in), bias(block.mlp.b_in))
        return tape.activate(pre, self.settings.activation)

    def join(self, tape: Tape, mid: Value, post: Value, block: Block) -> Value:
        """`resid_mid` (row, d_model) and neurons (row, d_mlp) → `resid_post` (row, d_model)."""
        resid = tape.linear_onto(mid, post, leaf(block.mlp.W_out), bias(block.mlp.b_out))
        return self.norm_after(tape, resid, block, "ln2")

    def attend(self, tape: Tape, resid: Value, z: Value, block: Block, b_O: Value | None = None) -> Value:
        """`resid_pre` (row, d_model) and the heads' outputs z (row, head · d_head) → `resid_mid` (row, d_model)."""
        return self.norm_after(tape, tape.linear_onto(resid, z, self.W_O(block.attn), b_O), block, "ln1")

    def W_O(self, attention: Attention) -> Value:
        """Return W_O of all heads, one below the other: (head · d_head, d_model)."""
        return leaf(attention.W_O).view(lambda t: t.view(-1, self.d_model))

    def by_head(self, x: Value) -> Value:
        """Reshape (row, head · d_head) → (row, head, d_head)."""
        return x.view(lambda t: t.unflatten(-1, (self.n_heads, self.d_head)))

    def head_first(self, x: Value) -> Value:
        """Reshape (row, head · d_head) → (head, row, d_head)."""
        return self.by_head(x).view(lambda t: t.transpose(0, 1))
