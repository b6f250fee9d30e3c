"""A network's parts as values, and the choices that follow from its settings."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from general_circuits.models.network import Place
from general_circuits.models.transformer import Attention, Block, Transformer
from general_circuits.training.reduced.tape import Tape, Value, gradient_of

Norm = Literal["ln1", "ln2"]


def leaf(weight: Tensor) -> Value:
    """A weight, whose gradient is a sum."""
    return Value(weight.detach(), gradient_of(weight), is_sum=True)


def bias(weight: Tensor | None) -> Value | None:
    """A bias, laid out flat, or None where there is none."""
    return None if weight is None else leaf(weight).view(lambda t: t.view(-1))


class Shape:
    """What both tapes need to know.

    Args:
        model: the plain network.
        batch_size: how many examples a gradient is usually of.
    """

    def __init__(self, model: Transformer, batch_size: int) -> None:
        settings = model.settings
        self.model, self.settings = model, settings
        self.like = model.embed.W_E.detach()
        self.p, self.d_model = self.like.shape[0] - 1, self.like.shape[1]
        self.n_heads, self.d_mlp = settings.n_heads, settings.d_mlp
        self.d_head = self.d_model // self.n_heads
        self.scale = 1 / math.sqrt(self.d_head)
        self.blocks = [model.block(layer) for layer in range(settings.n_layers)]
        self.is_deep = len(self.blocks) > 1
        self.n_classes = model.unembed.W_U.shape[1]
        self.logit_columns = -(-self.n_classes // 16) * 16
        """Whole cache lines; those beyond the classes are zero."""

        saved = batch_size * (self.d_model - self.n_classes)
        self.folds_output = model.is_linear_from(Place(len(self.blocks) - 1)) and saved > self.d_model * self.n_classes
        """Whether W_out·W_U is multiplied out: fewer multiplications, per neuron, than it saves."""
        self.has_table = self.folds_output and not self.is_deep and batch_size > 4 * (self.d_model + self.p)
        """Whether values are carried on to neurons and logits. It saves d_model multiplications per example and neuron
        and costs d_model + p per weight of W_O; of the latter each was measured to take as long as four."""

    def read(self, tape: Tape, x: Value, block: Block, norm: Norm) -> Value:
        """What attention ("ln1") or neurons ("ln2") see of the residual stream."""
        return tape.norm(x, getattr(block, norm)) if self.settings.normalisation == "pre" else x

    def settle(self, tape: Tape, x: Value, block: Block, norm: Norm) -> Value:
        """What stays in the residual stream once attention ("ln1") or neurons ("ln2") have written to it."""
        return tape.norm(x, getattr(block, norm)) if self.settings.normalisation == "post" else x

    def neurons(self, tape: Tape, mid: Value, block: Block) -> Value:
        """`resid_mid` → neurons after the activation."""
        read = self.read(tape, mid, block, "ln2")
        return tape.activate(tape.linear(read, leaf(block.mlp.W_in), bias(block.mlp.b_in)), self.settings.activation)

    def join(self, tape: Tape, mid: Value, post: Value, block: Block) -> Value:
        """`resid_mid` and neurons → `resid_post`."""
        resid = tape.linear_onto(mid, post, leaf(block.mlp.W_out), bias(block.mlp.b_out))
        return self.settle(tape, resid, block, "ln2")

    def leave(self, tape: Tape, resid: Value, z: Value, block: Block, b_O: Value | None = None) -> Value:
        """`resid_pre` and what attention found → `resid_mid`."""
        return self.settle(tape, tape.linear_onto(resid, z, self.W_O(block.attn), b_O), block, "ln1")

    def W_O(self, attention: Attention) -> Value:
        """(head · d_head, d_model)."""
        return leaf(attention.W_O).view(lambda t: t.view(-1, self.d_model))

    def by_head(self, x: Value) -> Value:
        """(row, head · d_head) → (row, head, d_head)."""
        return x.view(lambda t: t.unflatten(-1, (self.n_heads, self.d_head)))

    def head_first(self, x: Value) -> Value:
        """(row, head · d_head) → (head, row, d_head)."""
        return self.by_head(x).view(lambda t: t.transpose(0, 1))
