"""What depends on tokens alone, computed once per batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from general_circuits.models.transformer import Block
from general_circuits.training.reduced.shape import Shape, bias, leaf
from general_circuits.training.reduced.tape import Tape, Value


@dataclass(frozen=True)
class Later:
    """A block after the first.

    Attributes:
        block: the plain one.
        W_Q, W_K, W_V: laid out flat, (d_model, head · d_head).
        keys, values: at the first position, (symbol, head · d_head).
    """

    block: Block
    W_Q: Value
    W_K: Value
    W_V: Value
    keys: Value
    values: Value


class Tokens:
    """Tables with a row per symbol, or two: for the first position and, below, for the second.

    Keys and values of the first block are relative to those of "=".

    Attributes:
        scores: of "=" for a symbol (2 · symbol, head).
        values: (2 · symbol, head · d_head).
        once: `resid_pre` with the constant part of what attention adds, for every symbol at the first position, at the
            second, and for "=" (2 · symbol + 1, d_model); without a second block for "=" alone.
        pair_scores, own_scores: with a second block, of the second position for the first (b · symbol + a, head), and
            for itself (b, head).
        later: of every block after the first.
        table, table_once: where there is a table, what every head adds for every symbol to neurons' inputs and, beside
            them, to logits (head · 2 · symbol, column); and what is added once (1, column).
        W_U: as it is, (d_model, column).
        folded: where the output is folded, W_out·W_U (neuron, column).
        logit_bias: b_U, and where the output is folded b_out·W_U + b_U; None where neither is there.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.tape = tape = Tape(shape.like, sums=True)
        p, block = shape.p, shape.blocks[0]
        attention = block.attn
        stream = self._embed()
        x = shape.read(tape, stream, block, "ln1")
        last = x.part(2 * p, 2 * p + 1)
        relative = self._shifted(x.part(0, 2 * p), last, sign=-1)
        W_Q, W_V, b_Q = tape.flat(leaf(attention.W_Q)), tape.flat(leaf(attention.W_V)), bias(attention.b_Q)
        query = shape.head_first(tape.linear(last, W_Q, b_Q, scale=shape.scale))  # (head, 1, d_head)
        sought = tape.batched(leaf(attention.W_K), query.view(lambda t: t.transpose(1, 2)))  # (head, d_model, 1)
        self.scores = tape.linear(relative, sought.view(lambda t: t.squeeze(2).T))
        self.values = tape.linear(relative, W_V)
        own = tape.linear(last, W_V, bias(attention.b_V))
        constant = tape.linear(own, shape.W_O(attention), bias(attention.b_O))
        self.once = self._shifted(stream if shape.is_deep else stream.part(2 * p, 2 * p + 1), constant)
        self.later: list[Later] = []
        if shape.is_deep:
            self._second_position(x.part(p, 2 * p), relative, W_Q, b_Q)
            self._first_position()
        unembed = shape.model.unembed
        self.W_U = tape.widen(leaf(unembed.W_U), shape.logit_columns)
        self.logit_bias = None if unembed.b_U is None else tape.widen(_row(unembed.b_U), shape.logit_columns)
        if shape.folds_output:
            mlp = shape.blocks[-1].mlp
            self.folded = tape.linear(leaf(mlp.W_out), self.W_U)
            if mlp.b_out is not None:
                self.logit_bias = tape.linear(_row(mlp.b_out), self.W_U, self.logit_bias)
        if shape.has_table:
            self._carry_to_logits()
        tape.finish()

    def _embed(self) -> Value:
        """Every symbol at the first position, at the second, and "=" at the last, (2 · symbol + 1, d_model)."""
        tape, p, model = self.tape, self.shape.p, self.shape.model
        W_E, W_pos = leaf(model.embed.W_E), leaf(model.pos_embed.W_pos)
        out = tape.new(2 * p + 1, self.shape.d_model)
        places = [(W_E.part(0, p), out.part(0, p)), (W_E.part(0, p), out.part(p, 2 * p))]
        places.append((W_E.part(p, p + 1), out.part(2 * p, 2 * p + 1)))
        for position, (symbols, rows) in enumerate(places):
            tape.do(torch.add, symbols.data, W_pos.data[position], out=rows.data)

        def gradient() -> None:
            for position, (symbols, rows) in enumerate(places):
                tape.add(symbols, rows.grad)
                tape.add_column_sums(W_pos.part(position, position + 1), rows.grad)

        tape.pending.append(gradient)
        return out

    def _shifted(self, x: Value, by: Value, sign: int = 1) -> Value:
        """x (row, d_model) ± `by` (1, d_model)."""
        tape, out = self.tape, self.tape.new(*x.data.shape)
        tape.do(torch.add, x.data, by.data, alpha=sign, out=out.data)

        def gradient() -> None:
            tape.add(x, out.grad)
            tape.add_column_sums(by, out.grad, sign)

        tape.pending.append(gradient)
        return out

    def _second_position(self, x: Value, relative: Value, W_Q: Value, b_Q: Value | None) -> None:
        """Scores that the second position of the first block gives."""
        shape, tape, p = self.shape, self.tape, self.shape.p
        keys = tape.linear(relative, tape.flat(leaf(shape.blocks[0].attn.W_K)))
        queries = tape.linear(x, W_Q, b_Q, scale=shape.scale)
        first = shape.head_first(keys.part(0, p)).view(lambda t: t.transpose(1, 2))
        by_head = tape.batched(shape.head_first(queries), first)  # (head, b, a)
        self.pair_scores = tape.new(p * p, shape.n_heads)
        square = self.pair_scores.view(lambda t: t.view(p, p, shape.n_heads).permute(2, 0, 1))
        tape.do(square.data.copy_, by_head.data)
        tape.pending.append(lambda: tape.add(by_head, square.grad))
        self.own_scores = tape.new(p, shape.n_heads)
        tape.dots(shape.by_head(queries), shape.by_head(keys.part(p, 2 * p)), self.own_scores)

    def _first_position(self) -> None:
        """The first position, which sees only itself, as far as the last block's keys and values."""
        shape, tape, p = self.shape, self.tape, self.shape.p
        resid, values, b_O = self.once.part(0, p), self.values.part(0, p), None
        for block, after in zip(shape.blocks, shape.blocks[1:], strict=False):
            mid = shape.leave(tape, resid, values, block, b_O)
            resid = shape.join(tape, mid, shape.neurons(tape, mid, block), block)
            read = shape.read(tape, resid, after, "ln1")
            W_Q, W_K, W_V = (tape.flat(leaf(weight)) for weight in (after.attn.W_Q, after.attn.W_K, after.attn.W_V))
            values, b_O = tape.linear(read, W_V, bias(after.attn.b_V)), bias(after.attn.b_O)
            self.later.append(Later(after, W_Q, W_K, W_V, tape.linear(read, W_K), values))

    def _carry_to_logits(self) -> None:
        """Values by W_O and on by W_in and, beside it, by W_U: columns of neurons and of logits."""
        shape, tape, block = self.shape, self.tape, self.shape.blocks[0]
        write = self._carried(shape.W_O(block.attn), None)
        self.table_once = self._carried(self.once, bias(block.mlp.b_in))
        self.table = tape.new(shape.n_heads * 2 * shape.p, write.data.shape[1])
        self._both_positions(
            shape.head_first(self.values),
            write.view(lambda t: t.unflatten(0, (shape.n_heads, shape.d_head))),
            self.table.view(lambda t: t.unflatten(0, (shape.n_heads, 2 * shape.p))),
        )

    def _carried(self, x: Value, b_in: Value | None) -> Value:
        tape, d_mlp, n_logits = self.tape, self.shape.d_mlp, self.shape.logit_columns
        out = tape.new(len(x.data), d_mlp + n_logits)
        tape.linear(x, leaf(self.shape.blocks[0].mlp.W_in), b_in, out=out.columns(0, d_mlp))
        tape.linear(x, self.W_U, out=out.columns(d_mlp, d_mlp + n_logits))
        return out

    def _both_positions(self, values: Value, write: Value, out: Value) -> None:
        """values (head, 2 · symbol, d_head) @ write (head, d_head, column); only the first position's are multiplied.

        Without a norm before attention, the two positions' values differ by the same for every symbol.
        """
        tape, p = self.tape, self.shape.p
        first, second = out.middle(0, p), out.middle(p, 2 * p)
        tape.batched(values.middle(0, p), write, out=first)
        here, there = values.middle(0, 1), values.middle(p, p + 1)
        step = tape.new(*here.data.shape)
        tape.do(torch.sub, there.data, here.data, out=step.data)

        def step_gradient() -> None:
            tape.add(there, step.grad)
            tape.back(here.grad.sub_, step.grad)

        tape.pending.append(step_gradient)
        difference = tape.batched(step, write)  # (head, 1, column)
        tape.do(torch.add, first.data, difference.data, out=second.data)

        def gradient() -> None:
            tape.add(first, second.grad)
            tape.back(torch.sum, second.grad, dim=1, keepdim=True, out=difference.grad)

        tape.pending.append(gradient)


def _row(bias: Tensor) -> Value:
    return leaf(bias).view(lambda t: t.unsqueeze(0))
