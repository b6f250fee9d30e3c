"""The whole network: the tables of tokens once per batch, then the examples, a slice at a time.

Rows of a value in a deep network are positions first and examples second: the second positions of all examples, then
their last positions. The first position is never a row; it depends on a alone and comes from `Tokens`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models.transformer import Transformer
from general_circuits.training.losses import Loss
from general_circuits.training.reduced import EXAMPLES_PER_SLICE
from general_circuits.training.reduced.bags import Bags, Pairs, add_up
from general_circuits.training.reduced.shape import Shape, bias
from general_circuits.training.reduced.tape import Tape, Value, gradient_of, run
from general_circuits.training.reduced.tokens import LaterBlock, Tokens


class Reduced:
    """A network that computes its answers and sets its weights' gradients.

    Args:
        model: the plain network, on its final device. Weights are read where they lie, and their `.grad` is written.
        batch_size: usual number of examples per gradient; what is multiplied out depends on it.
        loss: loss whose mean over the examples has these gradients.
    """

    def __init__(self, model: Transformer, batch_size: int, loss: Loss) -> None:
        self.loss = loss
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        self.sums = [gradient_of(weight) for weight in model.parameters()]
        self.shape = Shape(model, batch_size)
        self.tokens = Tokens(self.shape)
        self.sums += self.tokens.tape.zeroed  # every gradient that slices add to
        self.slices: dict[int, Slice] = {}

    @torch.no_grad()
    def answer(self, tokens: Tensor) -> Tensor:
        """Return logits (example, d_vocab_out) of tokens (example, 3), the last of which is "="."""
        run(self.tokens.tape.forward)
        return torch.cat([self._forward(part).logits.data.clone() for part in tokens.split(EXAMPLES_PER_SLICE)])

    @torch.no_grad()
    def gradients(self, tokens: Tensor, labels: Tensor, precision: torch.dtype) -> None:
        """Set every weight's `.grad` to the gradient of the mean loss.

        Args:
            tokens: tokens (example, 3), the last of which is "=".
            labels: labels (example).
            precision: precision of the logits in the loss.
        """
        torch._foreach_zero_(self.sums)
        run(self.tokens.tape.forward)
        for part, answers in zip(tokens.split(EXAMPLES_PER_SLICE), labels.split(EXAMPLES_PER_SLICE), strict=True):
            examples = self._forward(part)
            d_logits = self.loss.gradient(examples.logits.data.to(precision), answers)
            torch.mul(d_logits, 1 / len(labels), out=examples.logits.grad)  # the mean is over all slices
            run(examples.tape.backward)
        # All slices have added to the tables' gradients by now; one pass takes these on to the weights.
        run(self.tokens.tape.backward)

    def _forward(self, tokens: Tensor) -> Slice:
        """Return the slice for this number of examples, after it computed the logits of these tokens (example, 3)."""
        if len(tokens) not in self.slices:
            self.slices[len(tokens)] = Slice(self.shape, self.tokens, len(tokens))
        examples = self.slices[len(tokens)]
        examples.pairs.load(tokens)
        run(examples.tape.forward)
        return examples


class Slice:
    """Computation for a fixed number of examples, from their attention scores to their logits.

    Attributes:
        pairs: the examples, which must be loaded before `tape.forward` runs.
        logits: logits (example, d_vocab_out), whose gradient must be written before `tape.backward` runs.
    """

    def __init__(self, shape: Shape, tokens: Tokens, n_examples: int) -> None:
        self.shape, self.tokens, self.n = shape, tokens, n_examples
        self.tape = tape = Tape(shape.like)
        self.pairs = Pairs(n_examples, shape.p, shape.like.device)
        if shape.has_table:
            logits = self._from_table()
        else:
            mid = self._attend_first()
            # Every block but the last one continues with its successor's attention.
            for block, later in zip(shape.blocks, tokens.later, strict=False):
                resid = shape.join(tape, mid, shape.neurons(tape, mid, block), block)
                mid = self._attend(resid, later)
            logits = self._read_out(mid, shape.neurons(tape, mid, shape.blocks[-1]))
        logits.mark_written()  # the caller writes the gradient of the classes; that of the padding stays 0
        self.logits = logits.columns(0, shape.n_classes)
        tape.finish()

    def _patterns(self) -> list[Value]:
        """Record the attention weights of the first block, (key, example, head).

        Returns:
            In deep networks first those of the second position, with two keys. Then those of the last position, with
            three keys.
        """
        tape, tokens, pairs, n, n_heads = self.tape, self.tokens, self.pairs, self.n, self.shape.n_heads
        patterns = []
        if self.shape.is_deep:
            scores = tape.new(2, n, n_heads)
            tape.rows(tokens.pair_scores, pairs.pair, out=_key(scores, 0))
            tape.rows(tokens.self_scores, pairs.b, out=_key(scores, 1))
            patterns.append(tape.softmax(scores))
        scores = tape.new(3, n, n_heads)
        scores.data[2] = 0.0  # score of "=" for itself, once and for all: the others are relative to it
        tape.rows(tokens.scores, pairs.a, out=_key(scores, 0))
        tape.rows(tokens.scores, pairs.b_row, out=_key(scores, 1))
        return [*patterns, tape.softmax(scores)]

    def _from_table(self) -> Value:
        """Record the logits (example, logit column) by the table, in which attention reaches the neurons directly."""
        tape, tokens, shape = self.tape, self.tokens, self.shape
        (pattern,) = self._patterns()
        # The key "=" is left out: values are relative to it, so its value is 0. The gradient of its weight stays 0.
        weights = tape.new(self.n, 2, shape.n_heads)
        by_key = weights.view(lambda t: t.transpose(0, 1))  # (key, example, head)
        tape.do(by_key.data.copy_, pattern.data[:2])
        tape.pending.append(lambda: tape.back(pattern.grad[:2].copy_, by_key.grad))
        # (example, neuron + logit column)
        packed = add_up(tape, tokens.table, weights, tokens.table_base, Bags(self.pairs, shape.n_heads))
        post = tape.activate(packed.columns(0, shape.d_mlp), shape.settings.activation)
        direct = packed.columns(shape.d_mlp, shape.d_mlp + shape.logit_columns)  # logits from the residual stream
        return tape.linear_onto(direct, post, tokens.folded, tokens.logit_bias)

    def _attend_first(self) -> Value:
        """Record `resid_mid` of the first block, (position · example, d_model).

        With a single block there are last positions only.
        """
        tape, tokens, pairs, n, shape = self.tape, self.tokens, self.pairs, self.n, self.shape
        patterns = self._patterns()
        # Values of a and b, (example, head, d_head). That of "=" is 0, so `mix` gets no third one.
        values = [shape.by_head(tape.rows(tokens.values, rows)) for rows in (pairs.a, pairs.b_row)]
        z = tape.new(len(patterns) * n, shape.n_heads * shape.d_head)
        for pattern, out in zip(patterns, _parts(z, n), strict=True):
            tape.mix(pattern, values, shape.by_head(out))
        base = tape.new(len(z.data), shape.d_model)
        last = tokens.base.part(len(tokens.base.data) - 1, len(tokens.base.data))  # the row of "=", (1, d_model)
        *second, of_last = _parts(base, n)
        for out in second:
            tape.rows(tokens.base, pairs.b_row, out=out)
        tape.do(of_last.data.copy_, last.data.expand_as(of_last.data))
        tape.pending.append(lambda: tape.add_column_sums(last, of_last.grad))
        return shape.attend(tape, base, z, shape.blocks[0])  # b_O is in `tokens.base`

    def _attend(self, resid: Value, later: LaterBlock) -> Value:
        """Record `resid_mid` of a later block, (position · example, d_model); of the last block, last positions only.

        Args:
            resid: `resid_pre` of the second and the last position, (position · example, d_model).
            later: the block, with keys and values of the first position.
        """
        shape, tape, n = self.shape, self.tape, self.n
        block = later.block
        attention, is_last = block.attn, block is shape.blocks[-1]
        normed = shape.norm_before(tape, resid, block, "ln1")
        keys = tape.linear(normed, later.W_K)  # without b_K, like `later.keys`
        values = tape.linear(normed, later.W_V, bias(attention.b_V))
        # A split shares the memory of gradients. It comes after the two readers of all rows, and only once per value.
        base = tape.split(resid, n, n)[1] if is_last else resid
        query_inputs = base if normed is resid else tape.split(normed, n, n)[1] if is_last else normed
        queries = tape.linear(query_inputs, later.W_Q, bias(attention.b_Q), scale=shape.scale)

        # Keys and values of each position, (example, head, d_head): the first from tables, the others from this slice.
        first = [tape.rows(table, self.pairs.a) for table in (later.keys, later.values)]
        keys_by_position = [shape.by_head(x) for x in (first[0], *tape.split(keys, n, n))]
        values_by_position = [shape.by_head(x) for x in (first[1], *tape.split(values, n, n))]
        z = tape.new(*queries.data.shape)
        queries_by_position = [queries] if is_last else tape.split(queries, n, n)
        # The second position sees two keys and the last one three; the last block has the last position only.
        n_seen = (2, 3)[-len(queries_by_position) :]
        for n_keys, query, out in zip(n_seen, queries_by_position, _parts(z, n), strict=True):
            scores = tape.new(n_keys, n, shape.n_heads)
            for key in range(n_keys):
                tape.dots(shape.by_head(query), keys_by_position[key], _key(scores, key))
            tape.mix(tape.softmax(scores), values_by_position[:n_keys], shape.by_head(out))
        return shape.attend(tape, base, z, block, bias(attention.b_O))

    def _read_out(self, mid: Value, post: Value) -> Value:
        """Record the logits (example, logit column) of the last block's `resid_mid` and neurons."""
        shape, tape = self.shape, self.tape
        if shape.folds_output:
            # (mid + post·W_out + b_out)·W_U + b_U = mid·W_U + post·(W_out·W_U) + (b_out·W_U + b_U)
            return tape.linear_onto(tape.linear(mid, self.tokens.W_U), post, self.tokens.folded, self.tokens.logit_bias)
        resid = shape.join(tape, mid, post, shape.blocks[-1])
        if shape.settings.normalisation == "pre":
            resid = tape.norm(resid, shape.model.ln_final)
        return tape.linear(resid, self.tokens.W_U, self.tokens.logit_bias)


def _key(scores: Value, key: int) -> Value:
    """Return the scores for one key, (example, head). The softmax writes their gradient as a whole."""
    return Value(scores.data[key], scores.grad[key])


def _parts(x: Value, n: int) -> list[Value]:
    """Return the n rows of each position, to be filled. The reader of `x` writes their gradient as a whole."""
    return [Value(data, grad) for data, grad in zip(x.data.split(n), x.grad.split(n), strict=True)]
