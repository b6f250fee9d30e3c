"""The whole network: what depends on tokens alone, once per batch, and examples a slice at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models.transformer import Transformer
from general_circuits.training.losses import Loss
from general_circuits.training.reduced import EXAMPLES_PER_SLICE
from general_circuits.training.reduced.bags import Bags, Pairs, add_up
from general_circuits.training.reduced.shape import Shape, bias
from general_circuits.training.reduced.tape import Tape, Value, gradient_of, run
from general_circuits.training.reduced.tokens import Later, Tokens


class Reduced:
    """A network that computes its answers and fills its own gradients.

    Args:
        model: the plain network, in its final place. Its weights are read and their `.grad` written.
        batch_size: how many examples a gradient is usually of; what is multiplied out depends on it.
        loss: what gradients are of.
    """

    def __init__(self, model: Transformer, batch_size: int, loss: Loss) -> None:
        self.loss = loss
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        self.sums = [gradient_of(weight) for weight in model.parameters()]
        self.shape = Shape(model, batch_size)
        self.tokens = Tokens(self.shape)
        self.sums += self.tokens.tape.zeroed
        self.slices: dict[int, Slice] = {}

    @torch.no_grad()
    def answer(self, tokens: Tensor) -> Tensor:
        """Tokens (example, 3), the last one "=" → logits (example, d_vocab_out)."""
        run(self.tokens.tape.forward)
        return torch.cat([self._forward(part).logits.data.clone() for part in tokens.split(EXAMPLES_PER_SLICE)])

    @torch.no_grad()
    def gradients(self, tokens: Tensor, labels: Tensor, precision: torch.dtype) -> None:
        """Set every weight's `.grad` to that of the mean loss.

        Args:
            tokens: (example, 3), the last one "=".
            labels: (example).
            precision: of the logits in the loss.
        """
        torch._foreach_zero_(self.sums)
        run(self.tokens.tape.forward)
        for part, answers in zip(tokens.split(EXAMPLES_PER_SLICE), labels.split(EXAMPLES_PER_SLICE), strict=True):
            examples = self._forward(part)
            d_logits = self.loss.gradient(examples.logits.data.to(precision), answers)
            torch.mul(d_logits, 1 / len(labels), out=examples.logits.grad)
            run(examples.tape.backward)
        run(self.tokens.tape.backward)

    def _forward(self, tokens: Tensor) -> Slice:
        """The slice for so many examples, with these ones' logits."""
        if len(tokens) not in self.slices:
            self.slices[len(tokens)] = Slice(self.shape, self.tokens, len(tokens))
        examples = self.slices[len(tokens)]
        examples.pairs.load(tokens)
        run(examples.tape.forward)
        return examples


class Slice:
    """So many examples, from their scores to their logits.

    Attributes:
        pairs: the examples; load some before running `tape.forward`.
        logits: (example, d_vocab_out); write their gradient before running `tape.backward`.
    """

    def __init__(self, shape: Shape, tokens: Tokens, n_examples: int) -> None:
        self.shape, self.tokens, self.n = shape, tokens, n_examples
        self.tape = tape = Tape(shape.like)
        self.pairs = Pairs(n_examples, shape.p, shape.like.device)
        if shape.has_table:
            logits = self._from_table()
        else:
            mid = self._attend_first()
            for block, later in zip(shape.blocks, tokens.later, strict=False):
                resid = shape.join(tape, mid, shape.neurons(tape, mid, block), block)
                mid = self._attend(resid, later)
            logits = self._read_out(mid, shape.neurons(tape, mid, shape.blocks[-1]))
        logits.mark_written()
        self.logits = logits.columns(0, shape.n_classes)
        tape.finish()

    def _patterns(self) -> list[Value]:
        """Attention weights of the first block (key, example, head): of the second position, and of the last."""
        tape, tokens, pairs, n, n_heads = self.tape, self.tokens, self.pairs, self.n, self.shape.n_heads
        patterns = []
        if self.shape.is_deep:
            scores = tape.new(2, n, n_heads)
            tape.rows(tokens.pair_scores, pairs.pair, out=_key(scores, 0))
            tape.rows(tokens.own_scores, pairs.b, out=_key(scores, 1))
            patterns.append(tape.softmax(scores))
        scores = tape.new(3, n, n_heads)
        scores.data[2] = 0.0  # of "=" for itself, to which the others are relative
        tape.rows(tokens.scores, pairs.a, out=_key(scores, 0))
        tape.rows(tokens.scores, pairs.b_row, out=_key(scores, 1))
        return [*patterns, tape.softmax(scores)]

    def _from_table(self) -> Value:
        """Logits, where attention reaches the neurons directly."""
        tape, tokens, shape = self.tape, self.tokens, self.shape
        (pattern,) = self._patterns()
        weights = tape.new(self.n, 2, shape.n_heads)
        seen = weights.view(lambda t: t.transpose(0, 1))
        tape.do(seen.data.copy_, pattern.data[:2])
        tape.pending.append(lambda: tape.back(pattern.grad[:2].copy_, seen.grad))
        packed = add_up(tape, tokens.table, weights, tokens.table_once, Bags(self.pairs, shape.n_heads))
        post = tape.activate(packed.columns(0, shape.d_mlp), shape.settings.activation)
        beside = packed.columns(shape.d_mlp, shape.d_mlp + shape.logit_columns)
        return tape.linear_onto(beside, post, tokens.folded, tokens.logit_bias)

    def _attend_first(self) -> Value:
        """`resid_mid` of the first block: rows (second positions, last ones), without a second block last ones only."""
        tape, tokens, pairs, n, shape = self.tape, self.tokens, self.pairs, self.n, self.shape
        patterns = self._patterns()
        values = [shape.by_head(tape.rows(tokens.values, rows)) for rows in (pairs.a, pairs.b_row)]
        z = tape.new(len(patterns) * n, shape.n_heads * shape.d_head)
        for pattern, out in zip(patterns, _parts(z, n), strict=True):
            tape.mix(pattern, values, shape.by_head(out))
        base = tape.new(len(z.data), shape.d_model)
        last = tokens.once.part(len(tokens.once.data) - 1, len(tokens.once.data))
        *second, of_last = _parts(base, n)
        for out in second:
            tape.rows(tokens.once, pairs.b_row, out=out)
        tape.do(of_last.data.copy_, last.data.expand_as(of_last.data))
        tape.pending.append(lambda: tape.add_column_sums(last, of_last.grad))
        return shape.leave(tape, base, z, shape.blocks[0])

    def _attend(self, resid: Value, later: Later) -> Value:
        """`resid_mid` of a later block: rows (second positions, last ones), of the last block last ones only."""
        shape, tape, n = self.shape, self.tape, self.n
        block = later.block
        attention, is_last = block.attn, block is shape.blocks[-1]
        read = shape.read(tape, resid, block, "ln1")
        keys = tape.linear(read, later.W_K)
        values = tape.linear(read, later.W_V, bias(attention.b_V))
        stays = tape.split(resid, n, n)[1] if is_last else resid
        asks = stays if read is resid else tape.split(read, n, n)[1] if is_last else read
        queries = tape.linear(asks, later.W_Q, bias(attention.b_Q), scale=shape.scale)

        first = [tape.rows(table, self.pairs.a) for table in (later.keys, later.values)]
        keys_by_position = [shape.by_head(x) for x in (first[0], *tape.split(keys, n, n))]
        values_by_position = [shape.by_head(x) for x in (first[1], *tape.split(values, n, n))]
        z = tape.new(*queries.data.shape)
        asked = [queries] if is_last else tape.split(queries, n, n)
        for n_keys, query, out in zip((2, 3)[-len(asked) :], asked, _parts(z, n), strict=True):
            scores = tape.new(n_keys, n, shape.n_heads)
            for key in range(n_keys):
                tape.dots(shape.by_head(query), keys_by_position[key], _key(scores, key))
            tape.mix(tape.softmax(scores), values_by_position[:n_keys], shape.by_head(out))
        return shape.leave(tape, stays, z, block, bias(attention.b_O))

    def _read_out(self, mid: Value, post: Value) -> Value:
        shape, tape = self.shape, self.tape
        if shape.folds_output:
            return tape.linear_onto(tape.linear(mid, self.tokens.W_U), post, self.tokens.folded, self.tokens.logit_bias)
        resid = shape.join(tape, mid, post, shape.blocks[-1])
        if shape.settings.normalisation == "pre":
            resid = tape.norm(resid, shape.model.ln_final)
        return tape.linear(resid, self.tokens.W_U, self.tokens.logit_bias)


def _key(scores: Value, key: int) -> Value:
    """The scores for one key, whose gradient the softmax writes."""
    return Value(scores.data[key], scores.grad[key])


def _parts(x: Value, n: int) -> list[Value]:
    """Rows of each position, to be filled; their gradient is written as a whole."""
    return [Value(data, grad) for data, grad in zip(x.data.split(n), x.grad.split(n), strict=True)]
