"""A computation and its gradient as two lists of calls on fixed memory. The lists are made once and then repeated.

An operation is a method of `Tape`. Recording it does two things:

- It appends the operation's calls to the list `forward`.
- It leaves a function in `pending`, which will append the calls of the operation's gradient.

`finish` runs the pending functions in reverse order, which is the order of backpropagation, and so makes the list
`backward`. A repetition costs nothing but the calls in the two lists.

A value can have several readers, and its gradient is the sum of what they contribute. The reader whose gradient comes
first in `backward` writes into the gradient's memory; the others add to it. `finish` decides this once, so no gradient
has to be set to zero before each step. The exception is a sum (`Value.is_sum`): something else zeroes it, and every
reader adds.

Some operations give their result's gradient the memory of their input's gradient, which saves a copy: `linear_onto`,
`activate` and `split`. For them, the shared memory holds nothing but the result's gradient when their turn comes. They
must therefore be the last recorded readers of their input, and so must `softmax` and `mix` (of the weights), which can
only write. Assertions in the pending functions check this.
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
    """A tensor in fixed memory, and the memory of its gradient.

    Attributes:
        data: the tensor.
        grad: its gradient, of the same shape.
        is_sum: whether something else sets the gradient to zero, so that every reader adds to it. Weights are sums,
            and so are tables that several tapes read.
        origin: value whose memory this view has; it remembers whether the gradient was written.
    """

    def __init__(self, data: Tensor, grad: Tensor, is_sum: bool = False, origin: Value | None = None) -> None:
        self.data, self.grad, self.is_sum = data, grad, is_sum
        self.origin = origin or self
        self._is_written = False

    def view(self, change: Callable[[Tensor], Tensor]) -> Value:
        """Return the same elements in the same memory, with another shape or order of axes."""
        return Value(change(self.data), change(self.grad), self.is_sum, self.origin)

    def part(self, start: int, stop: int) -> Value:
        """Return some rows of a sum. Other values would need an account of which rows were written."""
        assert self.is_sum
        return self.view(lambda t: t[start:stop])

    def middle(self, start: int, stop: int) -> Value:
        """Return a part of the second axis of a sum."""
        assert self.is_sum
        return self.view(lambda t: t[:, start:stop])

    def columns(self, start: int, stop: int) -> Value:
        """Return some columns. Their gradient has its own account of whether it was written, unless it is a sum."""
        part = self.view(lambda t: t[:, start:stop])
        return part if self.is_sum else Value(part.data, part.grad)

    @property
    def is_written(self) -> bool:
        """True if the backward list, as far as it is made, already writes the gradient."""
        return self.origin._is_written

    def mark_written(self) -> None:
        """Note that something writes the gradient, so that later contributions are added."""
        self.origin._is_written = True


def gradient_of(weight: Tensor) -> Tensor:
    """Return the memory of a weight's gradient. A fixed tensor, such as sinusoids, gets memory that nothing reads."""
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def run(calls: Calls) -> None:
    """Repeat a list of calls."""
    for call in calls:
        call()


class Tape:
    """Recorder of operations on values.

    Args:
        like: tensor whose dtype and device all memory has.
        sums: whether gradients of new values are sums. The caller then has to zero those in `zeroed` before each step.

    Attributes:
        forward, backward: calls of the computation and of its gradient, in order.
        pending: functions that will append the calls of a gradient to `backward`, in the order of recording.
        scratch: memory for intermediate results, by shape.
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
        """Return a value with new memory."""
        # Zeros, not empty: a gradient or a part of it that nothing writes has to stay 0 (see `mix`).
        grad = self.like.new_zeros(shape)
        if self.sums:
            self.zeroed.append(grad)
        return Value(self.like.new_empty(shape), grad, is_sum=self.sums)

    def do(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Append a call to the forward list."""
        self.forward.append(partial(function, *arguments, **options))

    def back(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Append a call to the backward list. Only pending functions do so."""
        self.backward.append(partial(function, *arguments, **options))

    def finish(self) -> None:
        """Make the backward list: run the pending functions, the last one first."""
        while self.pending:
            self.pending.pop()()

    def add_product(self, to: Value, left: Tensor, right: Tensor) -> None:
        """Let left @ right contribute to a gradient; both are matrices or batches of matrices."""
        is_first, batched = self._is_first(to), left.dim() == 3
        if is_first:
            self.back(torch.bmm if batched else torch.mm, left, right, out=to.grad)
        else:
            self.back(to.grad.baddbmm_ if batched else to.grad.addmm_, left, right)

    def add(self, to: Value, part: Tensor) -> None:
        """Let a tensor contribute to a gradient."""
        self.back(to.grad.copy_ if self._is_first(to) else to.grad.add_, part)

    def add_column_sums(self, to: Value | None, part: Tensor, sign: int = 1) -> None:
        """Let ± the sum over rows contribute to the gradient of a sum: of a bias, or of a row that all rows share.

        Args:
            to: bias, or None if there is none.
            part: gradient of the rows, (row, …).
            sign: 1 or −1.
        """
        if to is None:
            return
        assert to.is_sum
        total = self.like.new_empty(part.shape[1:])
        self.back(torch.sum, part, dim=0, out=total)
        self.back(to.grad.view(total.shape).add_, total, alpha=sign)

    def _is_first(self, to: Value) -> bool:
        """Return whether the next contribution to a gradient is the first one, and note that it is made."""
        is_first = not to.is_sum and not to.is_written
        to.mark_written()
        return is_first

    def product_buffer(self, *shape: int) -> Tensor:
        """Return memory for an intermediate result, which the next operation of the same shape overwrites."""
        if shape not in self.scratch:
            self.scratch[shape] = self.like.new_empty(shape)
        return self.scratch[shape]

    # Matrices

    def linear(
        self, x: Value, weight: Value, bias: Value | None = None, scale: float = 1.0, out: Value | None = None
    ) -> Value:
        """Record scale · (x @ weight + bias), with x (row, in), weight (in, out) and bias (out) → (row, out)."""
        out = out or self.new(x.data.shape[0], weight.data.shape[1])
        if bias is None:
            self.do(torch.mm, x.data, weight.data, out=out.data)
        else:
            self.do(torch.addmm, bias.data, x.data, weight.data, out=out.data)
        if scale != 1.0:
            self.do(out.data.mul_, scale)

        def gradient() -> None:
            # The scale is applied to the result's gradient in place: nothing reads that gradient afterwards.
            if scale != 1.0:
                self.back(out.grad.mul_, scale)
            self.add_product(weight, x.data.T, out.grad)
            self.add_product(x, out.grad, weight.data.T)
            self.add_column_sums(bias, out.grad)

        self.pending.append(gradient)
        return out

    def linear_onto(self, base: Value, x: Value, weight: Value, bias: Value | None = None) -> Value:
        """Record base + x @ weight + bias: what attention or neurons add to the residual stream.

        The derivative of this sum by `base` is 1, so both gradients are equal and share their memory. All other readers
        of `base` must be recorded before.

        Args:
            base: residual stream, (row, out).
            x: (row, in).
            weight: (in, out).
            bias: (out).
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
        """Record left @ right: left (batch, row, in), right (batch, in, out) → (batch, row, out)."""
        out = out or self.new(left.data.shape[0], left.data.shape[1], right.data.shape[2])
        self.do(torch.bmm, left.data, right.data, out=out.data)

        def gradient() -> None:
            self.add_product(right, left.data.transpose(1, 2), out.grad)
            self.add_product(left, out.grad, right.data.transpose(1, 2))

        self.pending.append(gradient)
        return out

    def flat(self, weight: Value) -> Value:
        """Record a copy (head, d_model, d_head) → (d_model, head · d_head), so that one product serves all heads."""
        n_heads, d_model, d_head = weight.data.shape
        out = self.new(d_model, n_heads * d_head)
        by_head = (d_model, n_heads, d_head)
        self.do(out.data.view(by_head).copy_, weight.data.transpose(0, 1))
        self.pending.append(lambda: self.back(weight.grad.add_, out.grad.view(by_head).transpose(0, 1)))
        return out

    def widen(self, x: Value, columns: int) -> Value:
        """Record a copy of x (row, column) with columns of zeros added. Rows of whole cache lines are faster."""
        out, n = self.new(len(x.data), columns), x.data.shape[1]
        out.data.zero_()
        self.do(out.data[:, :n].copy_, x.data)
        self.pending.append(lambda: self.add(x, out.grad[:, :n]))
        return out

    # Rows

    def split(self, x: Value, *sizes: int) -> list[Value]:
        """Split x into groups of consecutive rows, in its memory. All readers of x as a whole must come before."""
        parts = [
            Value(data, grad, x.is_sum)
            for data, grad in zip(x.data.split(list(sizes)), x.grad.split(list(sizes)), strict=True)
        ]

        def gradient() -> None:
            assert x.is_sum or not x.is_written
            x.mark_written()
            # Readers of x as a whole add to the parts' gradients, so a part without readers starts at zero.
            for part in parts:
                if not part.is_sum and not part.is_written:
                    self.back(part.grad.zero_)

        self.pending.append(gradient)
        return parts

    def rows(self, table: Value, index: Tensor, out: Value | None = None) -> Value:
        """Record rows of a table at `index` (row); the table's gradient must be a sum, since rows may repeat."""
        assert table.is_sum
        out = out or self.new(len(index), *table.data.shape[1:])
        self.do(torch.index_select, table.data, 0, index, out=out.data)
        self.pending.append(lambda: self.back(table.grad.index_add_, 0, index, out.grad))
        return out

    # Functions

    def norm(self, x: Value, norm: LayerNorm) -> Value:
        """Record a layer norm over the last axis: (row, d_model) → (row, d_model)."""
        weight, bias, eps = norm.w.detach(), norm.b.detach(), norm.eps
        d_norm = [gradient_of(norm.w), gradient_of(norm.b)]
        out = self.new(*x.data.shape)
        mean, scale = (self.like.new_empty(len(x.data), 1) for _ in range(2))  # of each row, for the backward pass
        shape = weight.shape

        def forward() -> None:
            results = torch.native_layer_norm(x.data, shape, weight, bias, eps)
            for to, part in zip((out.data, mean, scale), results, strict=True):
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
        """Record an activation: relu, gelu or quadratic (the square).

        Input and result share the memory of their gradients. relu also overwrites its input: the sign of the result is
        all that its gradient needs. The other two need their input.
        """
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
                self.back(pre.grad.mul_, pre.data)  # the derivative of x² is 2x
                self.back(pre.grad.mul_, 2.0)
            else:
                self.back(aten.gelu_backward.grad_input, post.grad, pre.data, approximate="none", grad_input=pre.grad)

        self.pending.append(gradient)
        return post

    def dots(self, left: Value, right: Value, out: Value) -> None:
        """Record dot products over the last axis into `out`: (example, head, d_head) twice → (example, head)."""
        product = self.product_buffer(*left.data.shape)
        self.do(torch.mul, left.data, right.data, out=product)
        self.do(torch.sum, product, dim=-1, out=out.data)

        def gradient() -> None:
            along = out.grad.unsqueeze(-1)  # (example, head, 1)
            for to, other in ((left, right), (right, left)):
                if self._is_first(to):
                    self.back(torch.mul, other.data, along, out=to.grad)
                else:
                    self.back(to.grad.addcmul_, other.data, along)

        self.pending.append(gradient)

    def softmax(self, scores: Value) -> Value:
        """Record a softmax over the first axis: scores (key, example, head) → weights of the same shape."""
        out = self.new(*scores.data.shape)
        self.do(torch.softmax, scores.data, dim=0, out=out.data)

        def gradient() -> None:
            assert not scores.is_written  # this call can only write, not add
            scores.mark_written()
            options = {"dim": 0, "input_dtype": out.data.dtype, "grad_input": scores.grad}
            self.back(aten._softmax_backward_data.out, out.grad, out.data, **options)

        self.pending.append(gradient)
        return out

    def mix(self, weights: Value, values: Sequence[Value], out: Value) -> None:
        """Record Σ over keys of weight · value, into `out` (example, head, d_head).

        Args:
            weights: attention weights, (key, example, head).
            values: values of each key, (example, head, d_head). Keys beyond them have a value of zero.
            out: the sum.
        """
        product = self.product_buffer(*values[0].data.shape)
        along = weights.data.unsqueeze(-1)  # (key, example, head, 1)
        self.do(torch.mul, values[0].data, along[0], out=out.data)
        for weight, value in zip(along[1:], values[1:], strict=False):
            self.do(out.data.addcmul_, value.data, weight)

        def gradient() -> None:
            assert not weights.is_written
            weights.mark_written()
            # A key without a value has a gradient of 0, which its memory holds from the start.
            for key, value in enumerate(values):
                self.back(torch.mul, out.grad, value.data, out=product)
                self.back(torch.sum, product, dim=-1, out=weights.grad[key])
                if self._is_first(value):
                    self.back(torch.mul, out.grad, along[key], out=value.grad)
                else:
                    self.back(value.grad.addcmul_, out.grad, along[key])

        self.pending.append(gradient)
