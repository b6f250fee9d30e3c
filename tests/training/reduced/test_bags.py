"""Weighted sums of table rows: rows by hand, and values and gradients against explicit loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from general_circuits.training.reduced.bags import Bags, Pairs, add_up
from general_circuits.training.reduced.tape import Tape, Value, run

P, N_HEADS, COLUMNS = 3, 2, 4
PAIRS = [(0, 1), (2, 1), (0, 0), (2, 2), (0, 1)]
"""Symbol 1 is never a, and every symbol is b; the first pair comes twice."""


def loaded(pairs: list[tuple[int, int]] = PAIRS) -> Bags:
    """Return the bags of these pairs of symbols."""
    examples = Pairs(len(pairs), P, torch.device("cpu"))
    examples.load(torch.tensor([(a, b, P) for a, b in pairs]))
    bags = Bags(examples, N_HEADS)
    bags.load()
    return bags


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))


def summed(data: Tensor) -> Value:
    return Value(data.clone(), torch.zeros_like(data), is_sum=True)


def test_examples_as_rows_of_tables():
    """The row of b in a table of both positions is 3 + b, and the row of a pair is 3 b + a."""
    pairs = loaded([(0, 1), (2, 1)]).pairs
    assert pairs.a.tolist() == [0, 2]
    assert pairs.b.tolist() == [1, 1]
    assert pairs.b_row.tolist() == [4, 4]
    assert pairs.pair.tolist() == [3, 5]


def test_an_example_uses_the_rows_of_its_symbols_in_every_head():
    """A head has 2 · 3 rows: those of the first position, then those of the second."""
    rows = loaded([(0, 1), (2, 1)]).rows
    assert rows.tolist() == [[[0, 6], [4, 10]], [[2, 8], [4, 10]]]  # (example, position, head)


def test_flat_entries_belong_to_examples_in_turn():
    bags = loaded([(0, 1), (2, 1)])
    assert bags.starts.tolist() == [0, 4]
    assert bags.example_of_entry.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_examples_are_listed_by_the_row_that_they_use():
    """Symbol 0 is the a of examples 0, 2 and 4, and symbol 2 of 1 and 3. As b: 2; then 0, 1 and 4; then 3."""
    bags = loaded()
    weights = random(len(PAIRS), 2, N_HEADS)
    examples, by_row = bags.by_row(weights)
    once = [0, 2, 4, 1, 3, 2, 0, 1, 4, 3]
    assert examples.tolist() == once * N_HEADS
    assert bags.row_starts.tolist() == [0, 3, 3, 5, 6, 9, 10, 13, 13, 15, 16, 19]
    position = [0] * 5 + [1] * 5
    expected = [weights[e, i, head] for head in range(N_HEADS) for e, i in zip(once, position, strict=True)]
    assert torch.equal(by_row, torch.stack(expected))


def test_every_entry_is_listed_under_exactly_one_row():
    bags = loaded()
    examples, _ = bags.by_row(random(len(PAIRS), 2, N_HEADS))
    ends = [*bags.row_starts.tolist()[1:], len(examples)]
    for row, (start, end) in enumerate(zip(bags.row_starts.tolist(), ends, strict=True)):
        users = [e for e in range(len(PAIRS)) if (bags.rows[e] == row).any()]
        assert sorted(examples[start:end].tolist()) == users


def by_loops(table: Tensor, weights: Tensor, constant: Tensor, rows: Tensor) -> Tensor:
    """Return the sums by definition, (example, column)."""
    sums = [
        constant[0] + sum(weights[e, i, h] * table[rows[e, i, h]] for i in range(2) for h in range(N_HEADS))
        for e in range(len(rows))
    ]
    return torch.stack(sums)


@pytest.mark.parametrize("pairs", [PAIRS, [(1, 1)], [(2, 0)] * 4], ids=["several", "one", "repeated"])
def test_sums_and_gradients_are_those_of_the_definition(pairs):
    bags = loaded(pairs)
    table, constant = summed(random(N_HEADS * 2 * P, COLUMNS)), summed(random(1, COLUMNS))
    weights = Value(random(len(pairs), 2, N_HEADS), torch.full((len(pairs), 2, N_HEADS), float("nan")).double())
    tape = Tape(table.data)
    out = add_up(tape, table, weights, constant, bags)
    tape.finish()
    run(tape.forward)
    leaves = [value.data.clone().requires_grad_() for value in (table, weights, constant)]
    expected = by_loops(*leaves, bags.rows)
    torch.testing.assert_close(out.data, expected.detach(), rtol=0, atol=1e-12)
    direction = random(len(pairs), COLUMNS, seed=1)
    out.grad.copy_(direction)
    run(tape.backward)
    gradients = torch.autograd.grad((expected * direction).sum(), leaves)
    for value, gradient in zip((table, weights, constant), gradients, strict=True):
        torch.testing.assert_close(value.grad, gradient, rtol=0, atol=1e-12)


def test_rows_that_no_example_uses_get_no_gradient():
    """Symbol 1 is no example's a: rows 1 and 7."""
    bags = loaded()
    table, constant = summed(random(N_HEADS * 2 * P, COLUMNS)), summed(random(1, COLUMNS))
    tape = Tape(table.data)
    out = add_up(tape, table, summed(random(len(PAIRS), 2, N_HEADS)), constant, bags)
    tape.finish()
    run(tape.forward)
    out.grad.fill_(1.0)
    run(tape.backward)
    assert (table.grad[[1, 7]] == 0).all()
    used = [row for row in range(len(table.grad)) if row not in (1, 7)]
    assert (table.grad[used] != 0).all()


def test_other_examples_of_the_same_number_take_the_same_memory():
    bags = loaded([(0, 1), (2, 1)])
    place = bags.rows.data_ptr()
    bags.pairs.load(torch.tensor([[1, 0, P], [1, 2, P]]))
    bags.load()
    assert bags.rows.data_ptr() == place
    assert bags.rows[:, :, 0].tolist() == [[1, 3], [1, 5]]
