"""A computation and its gradient as two lists of calls on fixed memory, written once and then repeated.

An operation is a method of `Tape`. It appends its calls to `forward`, and leaves a function that will append those of
its gradient; `finish` runs these functions in reverse. Whether a gradient is written or added to is thus known when the
list is made, and a repetition costs nothing but the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from general_circuits.models.transformer import LayerNorm

Calls = list[Callable[[], Any]]

aten = torch.ops.aten


class Value:
    """A tensor in fixed memory, and where its gradient goes.

    Attributes:
        data: the tensor.
        grad: of the same shape.
        is_sum: whether the gradient is set to zero elsewhere, so that everything here adds to it: weights, and tables
            that several tapes read.
    """

    def __init__(self, data: Tensor, grad: Tensor, is_sum: bool = False, origin: Value | None = None) -> None:
        self.data, self.grad, self.is_sum = data, grad, is_sum
        self.origin = origin or self
        self._is_written = False

    def view(self, change: Callable[[Tensor], Tensor]) -> Value:
        """The same elements in the same memory, in another shape or order."""
        return Value(change(self.data), change(self.grad), self.is_sum, self.origin)

    def part(self, start: int, stop: int) -> Value:
        """Some rows; of sums only, which need no account of what was written."""
        assert self.is_sum
        return self.view(lambda t: t[start:stop])

    def middle(self, start: int, stop: int) -> Value:
        """Some of the middle axis; of sums only."""
        assert self.is_sum
        return self.view(lambda t: t[:, start:stop])

    def columns(self, start: int, stop: int) -> Value:
        """Some columns, whose gradient is a sum or else written for itself."""
        seen = self.view(lambda t: t[:, start:stop])
        return seen if self.is_sum else Value(seen.data, seen.grad)

    @property
    def is_written(self) -> bool:
        """Whether `finish` has come upon something that wrote the gradient."""
        return self.origin._is_written

    def mark_written(self) -> None:
        self.origin._is_written = True


def gradient_of(weight: Tensor) -> Tensor:
    """Where a weight's gradient goes; of a fixed one nowhere that is read."""
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def run(calls: Calls) -> None:
    """Repeat a list of calls."""
    for call in calls:
        call()


class Tape:
    """Records operations on values.

    Args:
        like: a tensor of the dtype and device of all memory.
        sums: whether the gradients of new values are sums, to be zeroed by whoever runs the tape: `zeroed` lists them.
    """

    def __init__(self, like: Tensor, sums: bool = False) -> None:
        self.like, self.sums = like, sums
        self.forward: Calls = []
        self.backward: Calls = []
        self.zeroed: list[Tensor] = []
        self.pending: list[Callable[[], None]] = []
        self.scratch: dict[tuple[int, ...], Tensor] = {}

    # Making lists

    def new(self, *shape: int) -> Value:
        """A value in memory of its own."""
        grad = self.like.new_zeros(shape)
        if self.sums:
            self.zeroed.append(grad)
        return Value(self.like.new_empty(shape), grad, is_sum=self.sums)

    def do(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """A call of the forward list."""
        self.forward.append(partial(function, *arguments, **options))

    def back(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """A call of the backward list; to be used by pending functions."""
        self.backward.append(partial(function, *arguments, **options))

    def finish(self) -> None:
        """Make the backward list."""
        while self.pending:
            self.pending.pop()()

    def add_product(self, to: Value, left: Tensor, right: Tensor) -> None:
        """left @ right, matrices or batches of them, is a part of this gradient."""
        is_first, batched = self._is_first(to), left.dim() == 3
        if is_first:
            self.back(torch.bmm if batched else torch.mm, left, right, out=to.grad)
        else:
            self.back(to.grad.baddbmm_ if batched else to.grad.addmm_, left, right)

    def add(self, to: Value, part: Tensor) -> None:
        """This tensor is a part of a gradient."""
        self.back(to.grad.copy_ if self._is_first(to) else to.grad.add_, part)

    def add_column_sums(self, to: Value | None, part: Tensor, sign: int = 1) -> None:
        """± the sum over a matrix' rows is a part of the gradient of a sum: a bias, or a row that all rows share."""
        if to is None:
            return
        assert to.is_sum
        total = self.like.new_empty(part.shape[1:])
        self.back(torch.sum, part, dim=0, out=total)
        self.back(to.grad.view(total.shape).add_, total, alpha=sign)

    def _is_first(self, to: Value) -> bool:
        is_first = not to.is_sum and not to.is_written
        to.mark_written()
        return is_first

    def product_buffer(self, *shape: int) -> Tensor:
        """Memory for one call's result, which the next user overwrites."""
        if shape not in self.scratch:
            self.scratch[shape] = self.like.new_empty(shape)
        return self.scratch[shape]

    # Matrices

    def linear(
        self, x: Value, weight: Value, bias: Value | None = None, scale: float = 1.0, out: Value | None = None
    ) -> Value:
        """scale · (x (row, in) @ weight (in, out) + bias (out))."""
        out = out or self.new(x.data.shape[0], weight.data.shape[1])
        if bias is None:
            self.do(torch.mm, x.data, weight.data, out=out.data)
        else:
            self.do(torch.addmm, bias.data, x.data, weight.data, out=out.data)
        if scale != 1.0:
            self.do(out.data.mul_, scale)

        def gradient() -> None:
            if scale != 1.0:
                self.back(out.grad.mul_, scale)
            self.add_product(weight, x.data.T, out.grad)
            self.add_product(x, out.grad, weight.data.T)
            self.add_column_sums(bias, out.grad)

        self.pending.append(gradient)
        return out

    def linear_onto(self, base: Value, x: Value, weight: Value, bias: Value | None = None) -> Value:
        """base + x @ weight + bias: the residual stream. The gradient of `base` is the result's, in one memory.

        Whatever else reads `base` must have been recorded before.
        """
        out = Value(self.like.new_empty(base.data.shape), base.grad, base.is_sum)
        self.do(torch.addmm, base.data, x.data, weight.data, out=out.data)
        if bias is not None:
            self.do(out.data.add_, bias.data)

        def gradient() -> None:
            assert base.is_sum or not base.is_written
            base.mark_written()
            self.add_product(weight, x.data.T, out.grad)
            self.add_product(x, out.grad, weight.data.T)
            self.add_column_sums(bias, out.grad)

        self.pending.append(gradient)
        return out

    def batched(self, left: Value, right: Value, out: Value | None = None) -> Value:
        """left (batch, row, in) @ right (batch, in, out)."""
        out = out or self.new(left.data.shape[0], left.data.shape[1], right.data.shape[2])
        self.do(torch.bmm, left.data, right.data, out=out.data)

        def gradient() -> None:
            self.add_product(right, left.data.transpose(1, 2), out.grad)
            self.add_product(left, out.grad, right.data.transpose(1, 2))

        self.pending.append(gradient)
        return out

    def flat(self, weight: Value) -> Value:
        """(head, d_model, d_head) → (d_model, head · d_head), copied."""
        n_heads, d_model, d_head = weight.data.shape
        out = self.new(d_model, n_heads * d_head)
        by_head = (d_model, n_heads, d_head)
        self.do(out.data.view(by_head).copy_, weight.data.transpose(0, 1))
        self.pending.append(lambda: self.back(weight.grad.add_, out.grad.view(by_head).transpose(0, 1)))
        return out

    def widen(self, x: Value, columns: int) -> Value:
        """x (row, column) with columns of zeros added: products are faster where rows are whole cache lines."""
        out, n = self.new(len(x.data), columns), x.data.shape[1]
        out.data.zero_()
        self.do(out.data[:, :n].copy_, x.data)
        self.pending.append(lambda: self.add(x, out.grad[:, :n]))
        return out

    # Rows

    def split(self, x: Value, *sizes: int) -> list[Value]:
        """Consecutive rows, in one memory with x. Whatever reads x as a whole must have been recorded before."""
        parts = [
            Value(data, grad, x.is_sum)
            for data, grad in zip(x.data.split(list(sizes)), x.grad.split(list(sizes)), strict=True)
        ]

        def gradient() -> None:
            assert x.is_sum or not x.is_written
            x.mark_written()
            for part in parts:
                if not part.is_sum and not part.is_written:
                    self.back(part.grad.zero_)

        self.pending.append(gradient)
        return parts

    def rows(self, table: Value, index: Tensor, out: Value | None = None) -> Value:
        """The rows of a table, whose gradient is a sum, at these places."""
        assert table.is_sum
        out = out or self.new(len(index), *table.data.shape[1:])
        self.do(torch.index_select, table.data, 0, index, out=out.data)
        self.pending.append(lambda: self.back(table.grad.index_add_, 0, index, out.grad))
        return out

    # Functions

    def norm(self, x: Value, norm: LayerNorm) -> Value:
        """Layer norm over the last axis."""
        weight, bias, eps = norm.w.detach(), norm.b.detach(), norm.eps
        d_norm = [gradient_of(norm.w), gradient_of(norm.b)]
        out = self.new(*x.data.shape)
        mean, scale = (self.like.new_empty(len(x.data), 1) for _ in range(2))
        shape = weight.shape

        def forward() -> None:
            found = torch.native_layer_norm(x.data, shape, weight, bias, eps)
            for to, part in zip((out.data, mean, scale), found, strict=True):
                to.copy_(part)

        def backward(is_first: bool) -> None:
            d_x, d_weight, d_bias = aten.native_layer_norm_backward(
                out.grad, x.data, shape, mean, scale, weight, bias, [True, True, True]
            )
            x.grad.copy_(d_x) if is_first else x.grad.add_(d_x)
            d_norm[0].add_(d_weight)
            d_norm[1].add_(d_bias)

        self.do(forward)
        self.pending.append(lambda: self.back(backward, self._is_first(x)))
        return out

    def activate(self, pre: Value, kind: str) -> Value:
        """relu, in place of its input, gelu or square. The gradient takes the place of the result's."""
        post = Value(pre.data if kind == "relu" else self.like.new_empty(pre.data.shape), pre.grad, pre.is_sum)
        if kind == "relu":
            self.do(post.data.relu_)
        elif kind == "quadratic":
            self.do(torch.square, pre.data, out=post.data)
        else:
            self.do(aten.gelu.out, pre.data, approximate="none", out=post.data)

        def gradient() -> None:
            assert pre.is_sum or not pre.is_written
            pre.mark_written()
            if kind == "relu":
                self.back(aten.threshold_backward.grad_input, post.grad, post.data, 0, grad_input=pre.grad)
            elif kind == "quadratic":
                self.back(pre.grad.mul_, pre.data)
                self.back(pre.grad.mul_, 2.0)
            else:
                self.back(aten.gelu_backward.grad_input, post.grad, pre.data, approximate="none", grad_input=pre.grad)

        self.pending.append(gradient)
        return post

    def dots(self, left: Value, right: Value, out: Value) -> None:
        """Products (…, d) · (…, d) → (…), of values laid out alike."""
        product = self.product_buffer(*left.data.shape)
        self.do(torch.mul, left.data, right.data, out=product)
        self.do(torch.sum, product, dim=-1, out=out.data)

        def gradient() -> None:
            along = out.grad.unsqueeze(-1)
            for to, other in ((left, right), (right, left)):
                if self._is_first(to):
                    self.back(torch.mul, other.data, along, out=to.grad)
                else:
                    self.back(to.grad.addcmul_, other.data, along)

        self.pending.append(gradient)

    def softmax(self, scores: Value) -> Value:
        """Over the first axis."""
        out = self.new(*scores.data.shape)
        self.do(torch.softmax, scores.data, dim=0, out=out.data)

        def gradient() -> None:
            assert not scores.is_written
            scores.mark_written()
            options = {"dim": 0, "input_dtype": out.data.dtype, "grad_input": scores.grad}
            self.back(aten._softmax_backward_data.out, out.grad, out.data, **options)

        self.pending.append(gradient)
        return out

    def mix(self, weights: Value, values: Sequence[Value], out: Value) -> None:
        """Σ over keys of weights (key, example, head) · values (example, head, d_head), into `out`.

        Keys beyond the values have a value of zero.
        """
        product = self.product_buffer(*values[0].data.shape)
        along = weights.data.unsqueeze(-1)
        self.do(torch.mul, values[0].data, along[0], out=out.data)
        for weight, value in zip(along[1:], values[1:], strict=False):
            self.do(out.data.addcmul_, value.data, weight)

        def gradient() -> None:
            assert not weights.is_written
            weights.mark_written()
            for key, value in enumerate(values):
                self.back(torch.mul, out.grad, value.data, out=product)
                self.back(torch.sum, product, dim=-1, out=weights.grad[key])
                if self._is_first(value):
                    self.back(torch.mul, out.grad, along[key], out=value.grad)
                else:
                    self.back(value.grad.addcmul_, out.grad, along[key])

        self.pending.append(gradient)
