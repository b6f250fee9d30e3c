"""Weighted sums of the rows of `Tokens.table`: the attention of the first block, applied to neurons and logits at once.

An example uses 2 · n_heads rows of the table: one per head for its symbol a, and one per head for its symbol b. Its
weights are the attention weights. torch calls such a sum of rows a bag.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from general_circuits.training.reduced.tape import Tape, Value, aten


class Pairs:
    """Examples of a slice as row numbers of tables, in fixed memory.

    Attributes:
        a, b: symbols of each example, (example).
        b_row: row of b in a table of both positions, p + b, (example).
        pair: row of the example in a table of all pairs, b · p + a, (example).
    """

    def __init__(self, n_examples: int, n_symbols: int, device: torch.device) -> None:
        self.n_symbols = n_symbols
        self.a, self.b, self.b_row, self.pair = (
            torch.zeros(n_examples, dtype=torch.long, device=device) for _ in range(4)
        )

    def load(self, tokens: Tensor) -> None:
        """Load the tokens of other examples, (example, 3)."""
        self.a.copy_(tokens[:, 0])
        self.b.copy_(tokens[:, 1])
        torch.add(self.b, self.n_symbols, out=self.b_row)
        torch.add(self.a, self.b, alpha=self.n_symbols, out=self.pair)


class Bags:
    """Rows of the table that each example sums, and examples that use each row.

    Attributes:
        rows: rows of each example, (example, position, head); row = head · 2p + position · p + symbol.
        starts: first entry of each example in the flat `rows`, (example).
        example_of_entry: example of each entry of the flat `rows`, (example · 2 · head).
        row_starts: first entry of each row of the table in the lists of `by_row`, (head · 2 · symbol).
    """

    def __init__(self, pairs: Pairs, n_heads: int) -> None:
        device, n, p = pairs.a.device, len(pairs.a), pairs.n_symbols
        self.pairs, self.n_heads = pairs, n_heads
        self.head_rows = torch.arange(n_heads, device=device) * 2 * p  # (head): each head's first row
        self.rows = torch.zeros(n, 2, n_heads, dtype=torch.long, device=device)
        self.starts = torch.arange(0, self.rows.numel(), 2 * n_heads, device=device)
        self.example_of_entry = torch.arange(n, device=device).repeat_interleave(2 * n_heads)
        self.row_starts = torch.zeros(2 * n_heads * p, dtype=torch.long, device=device)

    def load(self) -> None:
        """Compute the rows of the examples that `pairs` holds."""
        torch.add(self.pairs.a.unsqueeze(1), self.head_rows, out=self.rows[:, 0])
        torch.add(self.pairs.b_row.unsqueeze(1), self.head_rows, out=self.rows[:, 1])

    def by_row(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """List examples by the row that they use.

        Args:
            weights: attention weights, (example, position, head).

        Returns:
            The examples that use row 0 of the table, then those of row 1, and so on, (head · 2 · example); and their
            weights in the same order. `row_starts` then says where each row begins.
        """
        symbols = (self.pairs.a, self.pairs.b)
        orders = [torch.argsort(symbol, stable=True) for symbol in symbols]
        # Every head has the same examples for a symbol, so both counts and orders are repeated for each head.
        sizes = torch.cat([torch.bincount(symbol, minlength=self.pairs.n_symbols) for symbol in symbols])
        torch.cumsum(sizes.repeat(self.n_heads)[:-1], 0, out=self.row_starts[1:])
        examples = torch.stack(orders).expand(self.n_heads, -1, -1)  # (head, position, example)
        # (head, position, example), each position in its own order
        by_row = torch.stack([weights[:, i].index_select(0, order).T for i, order in enumerate(orders)], dim=1)
        return examples.reshape(-1), by_row.reshape(-1)


def add_up(tape: Tape, table: Value, weights: Value, constant: Value, bags: Bags) -> Value:
    """Record the weighted sum of the table's rows for each example, plus a row that all examples share.

    Args:
        tape: tape of the slice.
        table: (head · 2 · symbol, column).
        weights: attention weights, (example, position, head).
        constant: shared row, (1, column).
        bags: rows of each example.

    Returns:
        The sums, (example, column).
    """
    n, per_example = len(weights.data), bags.rows[0].numel()
    out = tape.new(n, table.data.shape[1])

    def forward() -> None:
        bags.load()
        by_example, rows = weights.data.view(n, per_example), bags.rows.view(n, per_example)
        sums = functional.embedding_bag(rows, table.data, per_sample_weights=by_example, mode="sum")
        torch.add(sums, constant.data, out=out.data)

    def backward() -> None:
        # A row's gradient is the sum of weight · gradient over the examples that use it: a bag of examples. The stable
        # sort in `by_row` fixes the order of this sum, so equal work gives equal bytes.
        examples, by_row = bags.by_row(weights.data)
        starts = bags.row_starts
        table.grad.add_(functional.embedding_bag(examples, out.grad, starts, per_sample_weights=by_row, mode="sum"))
        # A weight's gradient is the product of its row with its example's gradient; the last argument 0 means "sum".
        d_weights = aten._embedding_bag_per_sample_weights_backward(
            out.grad, table.data, bags.rows.view(-1), bags.starts, bags.example_of_entry, 0
        )
        weights.grad.copy_(d_weights.view(weights.grad.shape))

    tape.do(forward)

    def gradient() -> None:
        tape.add_column_sums(constant, out.grad)
        tape.back(backward)

    tape.pending.append(gradient)
    return out
