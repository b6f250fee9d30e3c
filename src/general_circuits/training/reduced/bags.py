"""Weighted sums of the rows of `Tokens.table`: what attention adds, seen from examples and from rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from general_circuits.training.reduced.tape import Tape, Value, aten


class Pairs:
    """The examples of a slice, as rows of tables, in fixed memory.

    Attributes:
        a, b: (example) the symbols.
        b_row: (example) the second symbol's row in a table of both positions.
        pair: (example) the row in a table of every (b, a).
    """

    def __init__(self, n_examples: int, n_symbols: int, device: torch.device) -> None:
        self.n_symbols = n_symbols
        self.a, self.b, self.b_row, self.pair = (
            torch.zeros(n_examples, dtype=torch.long, device=device) for _ in range(4)
        )

    def load(self, tokens: Tensor) -> None:
        """Take these examples, (example, 3)."""
        self.a.copy_(tokens[:, 0])
        self.b.copy_(tokens[:, 1])
        torch.add(self.b, self.n_symbols, out=self.b_row)
        torch.add(self.a, self.b, alpha=self.n_symbols, out=self.pair)


class Bags:
    """Which rows of the table each example adds up: every head's for a, and every head's for b."""

    def __init__(self, pairs: Pairs, n_heads: int) -> None:
        device, n, p = pairs.a.device, len(pairs.a), pairs.n_symbols
        self.pairs, self.n_heads = pairs, n_heads
        self.head_rows = torch.arange(n_heads, device=device) * 2 * p
        self.rows = torch.zeros(n, 2, n_heads, dtype=torch.long, device=device)
        self.starts = torch.arange(0, self.rows.numel(), 2 * n_heads, device=device)
        self.example_of_entry = torch.arange(n, device=device).repeat_interleave(2 * n_heads)
        self.row_starts = torch.zeros(2 * n_heads * p, dtype=torch.long, device=device)

    def load(self) -> None:
        """Take the examples that `pairs` has."""
        torch.add(self.pairs.a.unsqueeze(1), self.head_rows, out=self.rows[:, 0])
        torch.add(self.pairs.b_row.unsqueeze(1), self.head_rows, out=self.rows[:, 1])

    def by_row(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """weights (example, position, head) → examples in the order of the rows they use, and their weights."""
        symbols = (self.pairs.a, self.pairs.b)
        orders = [torch.argsort(symbol, stable=True) for symbol in symbols]
        sizes = torch.cat([torch.bincount(symbol, minlength=self.pairs.n_symbols) for symbol in symbols])
        torch.cumsum(sizes.repeat(self.n_heads)[:-1], 0, out=self.row_starts[1:])
        examples = torch.stack(orders).expand(self.n_heads, -1, -1)
        by_row = torch.stack([weights[:, i].index_select(0, order).T for i, order in enumerate(orders)], dim=1)
        return examples.reshape(-1), by_row.reshape(-1)


def add_up(tape: Tape, table: Value, weights: Value, once: Value, bags: Bags) -> Value:
    """The table's rows by weights (example, position, head), and `once` (1, column) → (example, column)."""
    n, per_example = len(weights.data), bags.rows[0].numel()
    out = tape.new(n, table.data.shape[1])

    def forward() -> None:
        bags.load()
        by_example, rows = weights.data.view(n, per_example), bags.rows.view(n, per_example)
        found = functional.embedding_bag(rows, table.data, per_sample_weights=by_example, mode="sum")
        torch.add(found, once.data, out=out.data)

    def backward() -> None:
        # The table's gradient is such a sum too, with rows and examples exchanged.
        examples, by_row = bags.by_row(weights.data)
        starts = bags.row_starts
        table.grad.add_(functional.embedding_bag(examples, out.grad, starts, per_sample_weights=by_row, mode="sum"))
        found = aten._embedding_bag_per_sample_weights_backward(
            out.grad, table.data, bags.rows.view(-1), bags.starts, bags.example_of_entry, 0
        )
        weights.grad.copy_(found.view(weights.grad.shape))

    tape.do(forward)

    def gradient() -> None:
        tape.add_column_sums(once, out.grad)
        tape.back(backward)

    tape.pending.append(gradient)
    return out
