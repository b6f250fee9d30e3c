"""Each operation against autograd in float64, and the account of gradients that are written or added to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from general_circuits.models.parts import ACTIVATIONS
from general_circuits.models.transformer import LayerNorm
from general_circuits.training.reduced.tape import Tape, Value, gradient_of, run

LIKE = torch.zeros((), dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))


def written(data: Tensor) -> Value:
    """Return a value whose gradient is NaN until it is written."""
    return Value(data.clone(), torch.full_like(data, float("nan")))


def summed(data: Tensor) -> Value:
    """Return a value whose gradient is a sum, here zero."""
    return Value(data.clone(), torch.zeros_like(data), is_sum=True)


def check(
    record: Callable[..., Value | Sequence[Value]],
    plain: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Sequence[Value],
) -> None:
    """Record once, run twice on other data each time, and compare results and gradients of a random functional."""
    tape = Tape(LIKE)
    results = record(tape, *inputs)
    results = [results] if isinstance(results, Value) else list(results)
    tape.finish()
    for turn in range(2):
        leaves = []
        for i, value in enumerate(inputs):
            value.data.copy_(random(*value.data.shape, seed=10 * turn + i))
            value.grad.fill_(0.0 if value.is_sum else float("nan"))
            leaves.append(value.data.clone().requires_grad_())
        expected = plain(*leaves)
        expected = [expected] if isinstance(expected, Tensor) else list(expected)
        run(tape.forward)
        for result, right in zip(results, expected, strict=True):
            torch.testing.assert_close(result.data, right.detach(), rtol=0, atol=1e-12)
        directions = [random(*right.shape, seed=99 + turn + i) for i, right in enumerate(expected)]
        for result, direction in zip(results, directions, strict=True):
            result.grad.copy_(direction)
        run(tape.backward)
        loss = sum((right * direction).sum() for right, direction in zip(expected, directions, strict=True))
        gradients = torch.autograd.grad(loss, leaves)
        for i, (value, gradient) in enumerate(zip(inputs, gradients, strict=True)):
            torch.testing.assert_close(value.grad, gradient, rtol=0, atol=1e-12, msg=lambda m, i=i: f"input {i}\n{m}")


# Operations

KINDS = pytest.mark.parametrize("of", [written, summed], ids=["written", "summed"])
"""Gradients that are written when they come first, and sums, which are always added to."""


@KINDS
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_linear(of, scale):
    check(
        lambda tape, x, weight: tape.linear(x, weight, scale=scale),
        lambda x, weight: scale * (x @ weight),
        [of(random(4, 3)), of(random(3, 2))],
    )


@KINDS
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_linear_with_a_bias_which_is_scaled_too(of, scale):
    check(
        lambda tape, x, weight, bias: tape.linear(x, weight, bias, scale=scale),
        lambda x, weight, bias: scale * (x @ weight + bias),
        [of(random(4, 3)), of(random(3, 2)), summed(random(2))],
    )


def test_linear_into_columns():
    def record(tape, x, left, right):
        out = tape.new(4, 5)
        tape.linear(x, left, out=out.columns(0, 2))
        tape.linear(x, right, out=out.columns(2, 5))
        return out

    check(
        record,
        lambda x, left, right: torch.cat([x @ left, x @ right], dim=1),
        [written(random(4, 3)), summed(random(3, 2)), summed(random(3, 3))],
    )


@KINDS
@pytest.mark.parametrize("has_bias", [True, False])
def test_linear_onto(of, has_bias):
    check(
        lambda tape, base, x, weight, *bias: tape.linear_onto(base, x, weight, *bias),
        lambda base, x, weight, *bias: base + x @ weight + sum(bias),
        [of(random(4, 2)), of(random(4, 3)), summed(random(3, 2)), *([summed(random(2))] if has_bias else [])],
    )


@KINDS
def test_batched(of):
    check(
        lambda tape, left, right: tape.batched(left, right),
        lambda left, right: left @ right,
        [of(random(2, 4, 3)), of(random(2, 3, 5))],
    )


def test_batched_of_views():
    check(
        lambda tape, left, right: tape.batched(left.view(lambda t: t.transpose(1, 2)), right),
        lambda left, right: left.transpose(1, 2) @ right,
        [written(random(2, 3, 4)), summed(random(2, 3, 5))],
    )


def test_flat_puts_heads_side_by_side():
    check(
        lambda tape, weight: tape.flat(weight),
        lambda weight: torch.cat(list(weight), dim=1),
        [summed(random(2, 4, 3))],
    )


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3)])
def test_rows_which_may_repeat(shape):
    index = torch.tensor([3, 0, 3, 3, 1])
    check(lambda tape, table: tape.rows(table, index), lambda table: table[index], [summed(random(*shape))])


@KINDS
def test_split(of):
    weight = summed(random(2, 3))
    check(
        lambda tape, x: [tape.linear(part, weight) for part in tape.split(x, 1, 3, 2)],
        lambda x: [part @ weight.data for part in x.split([1, 3, 2])],
        [of(random(6, 2))],
    )


@KINDS
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activate(of, kind):
    """The activation follows another operation, whose result it may overwrite."""
    check(
        lambda tape, x, weight: tape.activate(tape.linear(x, weight), kind),
        lambda x, weight: ACTIVATIONS[kind](x @ weight),
        [of(random(4, 3)), of(random(3, 5))],
    )


def test_relu_alone_takes_its_inputs_memory():
    for kind, is_shared in (("relu", True), ("gelu", False), ("quadratic", False)):
        pre = written(random(2, 3))
        post = Tape(LIKE).activate(pre, kind)
        assert (post.data.data_ptr() == pre.data.data_ptr()) == is_shared
        assert post.grad.data_ptr() == pre.grad.data_ptr()


def test_softmax_over_the_first_axis():
    check(lambda tape, scores: tape.softmax(scores), lambda scores: scores.softmax(dim=0), [written(random(3, 4, 2))])


@KINDS
def test_dots(of):
    def record(tape, left, right):
        out = tape.new(4, 2)
        tape.dots(left, right, out)
        return out

    check(record, lambda left, right: (left * right).sum(dim=-1), [of(random(4, 2, 3)), of(random(4, 2, 3))])


@KINDS
@pytest.mark.parametrize("n_values", [1, 2, 3])
def test_mix_where_keys_beyond_the_values_have_a_value_of_zero(of, n_values):
    def record(tape, scores, *values):
        out = tape.new(4, 2, 5)
        tape.mix(tape.softmax(scores), values, out)
        return out

    def plain(scores, *values):
        pattern = scores.softmax(dim=0)
        return sum(weight[..., None] * value for weight, value in zip(pattern, values, strict=False))

    check(record, plain, [written(random(3, 4, 2)), *(of(random(4, 2, 5)) for _ in range(n_values))])


@KINDS
def test_norm(of):
    norm = LayerNorm(5).double()
    with torch.no_grad():
        norm.w.copy_(random(5))
        norm.b.copy_(random(5, seed=1))
    for weight in norm.parameters():
        weight.grad = torch.zeros_like(weight)
    x, direction = of(random(4, 5)), random(4, 5, seed=2)
    tape = Tape(LIKE)
    out = tape.norm(x, norm)
    tape.finish()
    run(tape.forward)
    out.grad.copy_(direction)
    run(tape.backward)
    leaf = x.data.clone().requires_grad_()
    expected = norm(leaf)
    torch.testing.assert_close(out.data, expected.detach(), rtol=0, atol=1e-12)
    gradients = torch.autograd.grad((expected * direction).sum(), [leaf, norm.w, norm.b])
    for ours, gradient in zip((x.grad, norm.w.grad, norm.b.grad), gradients, strict=True):
        torch.testing.assert_close(ours, gradient, rtol=0, atol=1e-12)
    run(tape.backward)  # of weights, and sums, the gradient is added once more
    torch.testing.assert_close(norm.w.grad, 2 * gradients[1], rtol=0, atol=1e-12)
    torch.testing.assert_close(x.grad, gradients[0] * (2 if x.is_sum else 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_column_sums(sign):
    tape, bias, part = Tape(LIKE), summed(random(3)), random(4, 3)
    tape.add_column_sums(bias, part, sign)
    tape.add_column_sums(None, part)
    run(tape.backward)
    torch.testing.assert_close(bias.grad, sign * part.sum(dim=0), rtol=0, atol=1e-12)


# What is written and what is added to


def test_the_last_reader_writes_and_the_others_add():
    def record(tape, x, first, second, third):
        return [tape.linear(x, weight) for weight in (first, second, third)]

    x = written(random(4, 3))
    check(
        record,
        lambda x, *weights: [x @ weight for weight in weights],
        [x, *(summed(random(3, n)) for n in (2, 3, 4))],
    )
    assert x.is_written


NORM = LayerNorm(3).double()


def dots_with_ones(tape: Tape, x: Value) -> Value:
    out = tape.new(len(x.data))
    tape.dots(x, Value(torch.ones_like(x.data), torch.zeros_like(x.data)), out)
    return out


def halved_by_mix(tape: Tape, x: Value) -> Value:
    """Record a mix of two values with weight ½ each; the second is zero."""
    weights = tape.softmax(Value(*(torch.zeros(2, len(x.data), dtype=torch.float64) for _ in range(2))))
    out = tape.new(*x.data.shape)
    tape.mix(weights, [x], out)
    return out


READERS = {
    "linear": (lambda tape, x: tape.linear(x, summed(torch.eye(3, 2, dtype=torch.float64))), lambda x: x[:, :2]),
    "batched": (
        lambda tape, x: tape.batched(x.view(lambda t: t[None]), summed(torch.eye(3, dtype=torch.float64)[None])),
        lambda x: x[None],
    ),
    "dots": (dots_with_ones, lambda x: x.sum(dim=1)),
    "mix": (halved_by_mix, lambda x: 0.5 * x),
    "norm": (lambda tape, x: tape.norm(x, NORM), NORM),
}
"""Operations that may come first or later, and what they give."""


@KINDS
@pytest.mark.parametrize("second", READERS)
@pytest.mark.parametrize("first", READERS)
def test_a_value_read_twice_adds_up_in_either_order(first, second, of):
    check(
        lambda tape, x: [READERS[first][0](tape, x), READERS[second][0](tape, x)],
        lambda x: [READERS[first][1](x), READERS[second][1](x)],
        [of(random(4, 3))],
    )


@pytest.mark.parametrize("last", ["linear_onto", "split", "activate", "softmax"])
def test_an_operation_that_takes_the_gradients_memory_comes_after_other_readers(last):
    weight = summed(torch.eye(3, dtype=torch.float64))

    def record(tape, x):
        read = tape.linear(x, weight)
        if last == "split":
            return [read, *(tape.linear(part, weight) for part in tape.split(x, 1, 3))]
        if last == "linear_onto":
            return [read, tape.linear_onto(x, summed(torch.ones(4, 3, dtype=torch.float64)), weight)]
        return [read, tape.activate(x, "gelu") if last == "activate" else tape.softmax(x)]

    def plain(x):
        after = {
            "split": lambda: x.split([1, 3]),
            "linear_onto": lambda: [x + 1],
            "activate": lambda: [functional.gelu(x)],
            "softmax": lambda: [x.softmax(dim=0)],
        }
        return [x, *after[last]()]

    check(record, plain, [written(random(4, 3))])


def test_split_parts_that_nothing_reads_have_a_gradient_of_zero():
    tape, x, weight = Tape(LIKE), written(random(6, 3)), summed(random(3, 2))
    parts = tape.split(x, 1, 3, 2)
    out = tape.linear(parts[1], weight)
    tape.finish()
    run(tape.forward)
    out.grad.fill_(1.0)
    for _ in range(2):
        x.grad.fill_(float("nan"))
        run(tape.backward)
        torch.testing.assert_close(x.grad[1:4], weight.data.sum(dim=1).expand(3, 3), rtol=0, atol=1e-12)
        assert (x.grad[[0, 4, 5]] == 0).all()


def test_split_parts_of_a_sum_that_nothing_reads_keep_their_gradient():
    tape, x = Tape(LIKE), summed(random(4, 3))
    x.grad.fill_(7.0)
    first, _ = tape.split(x, 1, 3)
    out = tape.linear(first, summed(torch.eye(3, dtype=torch.float64)))
    tape.finish()
    out.grad.fill_(1.0)
    run(tape.backward)
    assert (x.grad[0] == 8).all()
    assert (x.grad[1:] == 7).all()


def test_reading_one_part_and_then_the_other_writes_both():
    weight = summed(torch.eye(2, dtype=torch.float64))

    def record(tape, x):
        first, second = tape.split(x, 1, 3)
        return [tape.linear(second, weight), tape.linear(first, weight), tape.linear(second, weight)]

    check(record, lambda x: [x[1:], x[:1], x[1:]], [written(random(4, 2))])


def test_a_sum_adds_to_what_is_there():
    tape, x, weight = Tape(LIKE), written(random(4, 3)), summed(random(3, 2))
    out = tape.linear(x, weight)
    tape.finish()
    weight.grad.fill_(5.0)
    out.grad.fill_(1.0)
    for repetition in (1, 2):
        run(tape.backward)
        expected = 5 + repetition * x.data.sum(dim=0)[:, None].expand(3, 2)
        torch.testing.assert_close(weight.grad, expected, rtol=0, atol=1e-12)


def test_a_tape_of_sums_lists_the_gradients_to_zero():
    tape = Tape(LIKE, sums=True)
    out = tape.linear(summed(random(4, 3)), summed(random(3, 2)))
    more = tape.linear(out, summed(random(2, 2)))
    assert out.is_sum
    assert more.is_sum
    assert [gradient.data_ptr() for gradient in tape.zeroed] == [out.grad.data_ptr(), more.grad.data_ptr()]
    assert all((gradient == 0).all() for gradient in tape.zeroed)


def test_a_tape_of_other_values_has_nothing_to_zero():
    tape = Tape(LIKE)
    assert not tape.new(3, 2).is_sum
    assert tape.zeroed == []


def test_a_sum_that_two_tapes_read_gets_both_gradients():
    table = summed(random(3, 2))
    index = torch.tensor([0, 2])
    for _ in range(2):
        tape = Tape(LIKE)
        out = tape.rows(table, index)
        tape.finish()
        run(tape.forward)
        out.grad.fill_(1.0)
        run(tape.backward)
    assert table.grad.tolist() == [[2, 2], [0, 0], [2, 2]]


def test_recording_computes_nothing_and_finishing_leaves_nothing_pending():
    tape, x = Tape(LIKE), written(random(4, 3))
    out = tape.linear(x, summed(random(3, 2)))
    assert out.data.isnan().all()
    assert tape.backward == []
    assert len(tape.pending) == 1
    tape.finish()
    assert tape.pending == []
    assert len(tape.backward) == 2
    assert out.data.isnan().all()
    assert x.grad.isnan().all()


def test_buffers_of_one_shape_are_one_memory():
    tape = Tape(LIKE)
    assert tape.product_buffer(2, 3) is tape.product_buffer(2, 3)
    assert tape.product_buffer(2, 3) is not tape.product_buffer(3, 2)


# Values


def test_views_are_the_same_memory_and_share_the_account():
    x = written(random(4, 3))
    turned = x.view(lambda t: t.T).view(lambda t: t.unflatten(1, (2, 2)))
    assert turned.data.shape == turned.grad.shape == (3, 2, 2)
    assert turned.data.data_ptr() == x.data.data_ptr()
    assert turned.grad.data_ptr() == x.grad.data_ptr()
    assert not x.is_written
    turned.mark_written()
    assert x.is_written


def test_columns_are_written_for_themselves_unless_they_are_sums():
    x = written(random(4, 3))
    x.columns(0, 2).mark_written()
    assert not x.is_written
    total = summed(random(4, 3))
    assert total.columns(0, 2).is_sum
    assert total.columns(0, 2).origin is total


def test_parts_of_sums_are_the_same_memory():
    x = summed(random(4, 3, 2))
    x.part(1, 3).grad.add_(1.0)
    x.middle(0, 1).grad.add_(2.0)
    assert x.grad[..., 0].tolist() == [[2, 0, 0], [3, 1, 1], [3, 1, 1], [2, 0, 0]]


def test_the_gradient_of_a_fixed_tensor_goes_nowhere():
    fixed = random(2, 3)
    assert (gradient_of(fixed) == 0).all()
    assert fixed.grad is None
    weight = torch.nn.Parameter(random(2, 3))
    weight.grad = torch.ones_like(weight)
    assert gradient_of(weight) is weight.grad


# What may not be recorded


def test_a_base_may_not_be_read_after_it_was_written_onto():
    tape, base, weight = Tape(LIKE), written(random(4, 3)), summed(random(3, 3))
    tape.linear_onto(base, written(random(4, 3)), weight)
    tape.linear(base, weight)
    with pytest.raises(AssertionError):
        tape.finish()


def test_a_view_of_a_base_may_not_be_read_after_it_was_written_onto():
    tape, base, weight = Tape(LIKE), written(random(4, 3)), summed(random(3, 3))
    tape.linear_onto(base, written(random(4, 3)), weight)
    tape.linear(base.view(lambda t: t[:2]), weight)
    with pytest.raises(AssertionError):
        tape.finish()


def test_a_split_value_may_not_be_read_as_a_whole_afterwards():
    tape, x, weight = Tape(LIKE), written(random(4, 3)), summed(random(3, 3))
    tape.split(x, 1, 3)
    tape.linear(x, weight)
    with pytest.raises(AssertionError):
        tape.finish()


def test_a_value_may_not_be_split_or_written_onto_twice():
    for first, second in (("split", "split"), ("split", "onto"), ("onto", "split"), ("onto", "onto")):
        tape, x, weight = Tape(LIKE), written(random(4, 3)), summed(random(3, 3))
        for kind in (first, second):
            if kind == "split":
                tape.split(x, 1, 3)
            else:
                tape.linear_onto(x, written(random(4, 3)), weight)
        with pytest.raises(AssertionError):
            tape.finish()


def test_sums_may_be_read_in_any_order():
    tape, x = Tape(LIKE), summed(random(4, 3))
    tape.split(x, 1, 3)
    tape.linear(x, summed(random(3, 2)))
    tape.finish()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda tape, x: x.part(0, 1),
        lambda tape, x: x.middle(0, 1),
        lambda tape, x: tape.rows(x, torch.tensor([0])),
        lambda tape, x: tape.add_column_sums(x, random(4, 3)),
    ],
    ids=["part", "middle", "rows", "column sums"],
)
def test_operations_of_sums_are_refused_for_other_values(misuse):
    with pytest.raises(AssertionError):
        misuse(Tape(LIKE), written(random(4, 3)))


def test_a_bias_that_is_no_sum_is_refused_when_the_backward_list_is_made():
    tape = Tape(LIKE)
    tape.linear(written(random(4, 3)), summed(random(3, 2)), written(random(2)))
    with pytest.raises(AssertionError):
        tape.finish()
