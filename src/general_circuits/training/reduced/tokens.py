"""Everything in the network that depends on tokens alone, computed once per batch.

Before the first attention, a position's vector depends on its token and its number only. There are 2p + 1 vectors: p
symbols at the first position, p at the second, and "=" at the last. Everything that follows from one of them alone is
computed here. Slices of examples then look it up. Their gradients add up in the tables' gradients, and one backward
pass through this tape takes them on to the weights.

A table of both positions has the symbol s at the first position in row s. Row p + s has it at the second position.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from general_circuits.models.transformer import Block
from general_circuits.training.reduced.shape import Shape, bias, leaf
from general_circuits.training.reduced.tape import Tape, Value


@dataclass(frozen=True)
class LaterBlock:
    """Weights of a block after the first, with keys and values of the first position.

    The first position sees only itself, so its keys and values depend on the symbol a alone.

    Attributes:
        block: the plain block.
        W_Q, W_K, W_V: weights of all heads side by side, (d_model, head · d_head).
        keys, values: keys, without their bias, and values at the first position, (symbol, head · d_head).
    """

    block: Block
    W_Q: Value
    W_K: Value
    W_V: Value
    keys: Value
    values: Value


class Tokens:
    """Tables of the first block and of everything else that depends on tokens alone.

    A query q of the first block scores a key k by q·k. All its scores may shift alike, so q·(k − k₌) gives the same
    weights, where k₌ is the key of "=". The score of "=" for itself is then 0, and the bias of keys cancels. The
    weights w sum to 1, so Σ w·v = v₌ + Σ w·(v − v₌). The value v₌ of "=" is therefore a constant for every query. The
    second position does not see "=", but both identities hold for it as well.

    Attributes:
        scores: scores that the query of "=" gives to the symbols, minus that for itself, (2 · symbol, head).
        values: values of the symbols minus that of "=", (2 · symbol, head · d_head).
        base: `resid_pre` plus the constant part of what attention adds, (2 · symbol + 1, d_model): symbols at both
            positions, then "=". With a single block it has the row of "=" alone.
        pair_scores: scores that the second position gives to the first, (b · symbol + a, head). Deep networks only.
        self_scores: scores that the second position gives to itself, (b, head). Deep networks only.
        later: every block after the first.
        W_U: unembedding, padded with zeros to whole cache lines, (d_model, logit column).
        folded: W_out·W_U, (neuron, logit column), if the output is folded.
        logit_bias: b_U, plus b_out·W_U if the output is folded, (1, logit column). None if neither bias exists.
        table: what a head adds, for a symbol, to the neurons' inputs and to the logits (head · 2 · symbol,
            neuron + logit column). An example sums a few of its rows.
        table_base: what is added to every example beside the table's rows, (1, neuron + logit column).
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.tape = tape = Tape(shape.like, sums=True)
        p, block = shape.p, shape.blocks[0]
        attention = block.attn
        stream = self._embed()
        x = shape.norm_before(tape, stream, block, "ln1")
        last = x.part(2 * p, 2 * p + 1)  # (1, d_model): the input of attention at "="
        # Keys and values are linear in x, so x minus that of "=" gives both relative to "=".
        relative = self._shifted(x.part(0, 2 * p), last, sign=-1)  # (2 · symbol, d_model)
        W_Q, W_V, b_Q = tape.flat(leaf(attention.W_Q)), tape.flat(leaf(attention.W_V)), bias(attention.b_Q)
        query = shape.head_first(tape.linear(last, W_Q, b_Q, scale=shape.scale))  # (head, 1, d_head)
        # The query of "=" is a single vector, so W_K times it gives the scores of all symbols without their keys.
        by_query = tape.batched(leaf(attention.W_K), query.view(lambda t: t.transpose(1, 2)))  # (head, d_model, 1)
        self.scores = tape.linear(relative, by_query.view(lambda t: t.squeeze(2).T))
        self.values = tape.linear(relative, W_V)  # b_V cancels in a difference; it is in `last_value`
        last_value = tape.linear(last, W_V, bias(attention.b_V))  # (1, head · d_head)
        constant = tape.linear(last_value, shape.W_O(attention), bias(attention.b_O))  # (1, d_model)
        self.base = self._shifted(stream if shape.is_deep else stream.part(2 * p, 2 * p + 1), constant)
        self.later: list[LaterBlock] = []
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
        """Record the residual stream before the first block, (2 · symbol + 1, d_model).

        Its rows are every symbol at the first position, every symbol at the second, and "=" at the last.
        """
        tape, p, model = self.tape, self.shape.p, self.shape.model
        W_E, W_pos = leaf(model.embed.W_E), leaf(model.pos_embed.W_pos)
        out = tape.new(2 * p + 1, self.shape.d_model)
        # Embeddings and rows of each position.
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
        """Record x (row, d_model) ± `by` (1, d_model)."""
        tape, out = self.tape, self.tape.new(*x.data.shape)
        tape.do(torch.add, x.data, by.data, alpha=sign, out=out.data)

        def gradient() -> None:
            tape.add(x, out.grad)
            tape.add_column_sums(by, out.grad, sign)

        tape.pending.append(gradient)
        return out

    def _second_position(self, x: Value, relative: Value, W_Q: Value, b_Q: Value | None) -> None:
        """Record the scores that the second position gives in the first block; only a later block needs them.

        Its query depends on b, and the key of the first position on a, so there is one score per pair.

        Args:
            x: input of attention at the second position, (symbol, d_model).
            relative: inputs of attention minus that of "=", (2 · symbol, d_model).
            W_Q: weights of queries, (d_model, head · d_head).
            b_Q: bias of queries, (head · d_head).
        """
        shape, tape, p = self.shape, self.tape, self.shape.p
        keys = tape.linear(relative, tape.flat(leaf(shape.blocks[0].attn.W_K)))  # (2 · symbol, head · d_head)
        queries = tape.linear(x, W_Q, b_Q, scale=shape.scale)  # (b, head · d_head)
        first = shape.head_first(keys.part(0, p)).view(lambda t: t.transpose(1, 2))  # (head, d_head, a)
        by_head = tape.batched(shape.head_first(queries), first)  # (head, b, a)
        self.pair_scores = tape.new(p * p, shape.n_heads)
        square = self.pair_scores.view(lambda t: t.view(p, p, shape.n_heads).permute(2, 0, 1))  # (head, b, a)
        tape.do(square.data.copy_, by_head.data)
        tape.pending.append(lambda: tape.add(by_head, square.grad))
        self.self_scores = tape.new(p, shape.n_heads)
        tape.dots(shape.by_head(queries), shape.by_head(keys.part(p, 2 * p)), self.self_scores)

    def _first_position(self) -> None:
        """Record the first position of every block, up to the keys and values of the last block.

        This position sees only itself, with a weight of 1. The heads' outputs are therefore its values, (symbol,
        head · d_head).
        """
        shape, tape, p = self.shape, self.tape, self.shape.p
        # In the first block, `base` already has the constant part with b_O, and values are relative to "=".
        resid, values, b_O = self.base.part(0, p), self.values.part(0, p), None
        for block, after in zip(shape.blocks, shape.blocks[1:], strict=False):
            mid = shape.attend(tape, resid, values, block, b_O)
            resid = shape.join(tape, mid, shape.neurons(tape, mid, block), block)
            normed = shape.norm_before(tape, resid, after, "ln1")
            W_Q, W_K, W_V = (tape.flat(leaf(weight)) for weight in (after.attn.W_Q, after.attn.W_K, after.attn.W_V))
            values, b_O = tape.linear(normed, W_V, bias(after.attn.b_V)), bias(after.attn.b_O)
            # No bias of keys: it would shift all scores of a query alike.
            self.later.append(LaterBlock(after, W_Q, W_K, W_V, tape.linear(normed, W_K), values))

    def _carry_to_logits(self) -> None:
        """Record the table: values times W_O, times W_in for the columns of neurons and times W_U for those of logits.

        The residual stream also reaches the logits past the neurons, hence the columns of logits.
        """
        shape, tape, block = self.shape, self.tape, self.shape.blocks[0]
        write = self._carried(shape.W_O(block.attn), None)  # (head · d_head, neuron + logit column)
        self.table_base = self._carried(self.base, bias(block.mlp.b_in))
        self.table = tape.new(shape.n_heads * 2 * shape.p, write.data.shape[1])
        self._both_positions(
            shape.head_first(self.values),
            write.view(lambda t: t.unflatten(0, (shape.n_heads, shape.d_head))),
            self.table.view(lambda t: t.unflatten(0, (shape.n_heads, 2 * shape.p))),
        )

    def _carried(self, x: Value, b_in: Value | None) -> Value:
        """Record x·W_in + b_in and x·W_U side by side: (row, d_model) → (row, neuron + logit column)."""
        tape, d_mlp, n_logits = self.tape, self.shape.d_mlp, self.shape.logit_columns
        out = tape.new(len(x.data), d_mlp + n_logits)
        tape.linear(x, leaf(self.shape.blocks[0].mlp.W_in), b_in, out=out.columns(0, d_mlp))
        tape.linear(x, self.W_U, out=out.columns(d_mlp, d_mlp + n_logits))
        return out

    def _both_positions(self, values: Value, write: Value, out: Value) -> None:
        """Record values @ write into `out`, but multiply only the rows of the first position.

        A symbol's vectors at the two positions differ by W_pos[1] − W_pos[0], whatever the symbol. Without a norm
        before attention, values are linear in these vectors and differ by one vector too. Symbol 0 gives this vector.

        Args:
            values: (head, 2 · symbol, d_head).
            write: (head, d_head, column).
            out: (head, 2 · symbol, column).
        """
        tape, p = self.tape, self.shape.p
        first, second = out.middle(0, p), out.middle(p, 2 * p)
        tape.batched(values.middle(0, p), write, out=first)
        at_first, at_second = values.middle(0, 1), values.middle(p, p + 1)  # of symbol 0, (head, 1, d_head)
        step = tape.new(*at_first.data.shape)
        tape.do(torch.sub, at_second.data, at_first.data, out=step.data)

        def step_gradient() -> None:
            tape.add(at_second, step.grad)
            tape.back(at_first.grad.sub_, step.grad)

        tape.pending.append(step_gradient)
        difference = tape.batched(step, write)  # (head, 1, column)
        tape.do(torch.add, first.data, difference.data, out=second.data)

        def gradient() -> None:
            # `second` is `first` plus a row, so its gradient goes on to both, before `first` goes on to values.
            tape.add(first, second.grad)
            tape.back(torch.sum, second.grad, dim=1, keepdim=True, out=difference.grad)

        tape.pending.append(gradient)


def _row(bias: Tensor) -> Value:
    """Return a bias as a matrix of one row."""
    return leaf(bias).view(lambda t: t.unsqueeze(0))
