"""Transformers of `models/` with less arithmetic: the same logits and gradients, up to rounding.

The plain network computes every position of every example. Most of this work cannot change the loss. An example is the
three tokens a, b and "=", and the loss reads the logits at "=" only. Attention is causal: a sees itself, b sees a and
itself, and "=" sees all three. This package leaves out the rest. Each shortcut is exact:

- Last position only. The last block computes its query, neurons and logits at "=" only. The other positions of this
  block give keys and values, and nothing else.
- Once per token. Before the first attention, a position depends on its own token only. The first position sees nothing
  but itself, so it depends on a in every block. Such vectors are computed once per symbol, not once per example.
- Relative to "=". The token "=" is the same in every example, so its first query is a single vector. The first block's
  keys and values are taken minus those of "=". A softmax does not change if all its scores shift alike. Its weights sum
  to 1, so the value of "=" is added once, as a constant.
- No key biases. A bias of keys shifts all scores of a query alike. It has no effect, and its gradient is zero.
- Folded output. W_out·W_U is multiplied out if the batch is large enough to save operations (`Shape.folds_output`).
- A table. One block without layer norms is linear from a head's value to the neurons' inputs, and along the residual
  stream to the logits. In large batches these maps are applied once per symbol and head. An example then sums a few
  rows of that table, weighted by its attention (`Shape.has_table`).
- Second half of the table. Without a norm, values at the first and second position differ by the same vector for every
  symbol. The second position's rows are therefore the first one's plus one row.

Autograd is not used. A step is a list of calls on fixed memory, which is made once and then repeated:

- `tape.py`: operations that record their calls and those of their gradients.
- `shape.py`: sizes, weights and choices that follow from a network's settings.
- `tokens.py`: everything that depends on tokens alone, computed once per batch.
- `bags.py`: weighted sums of the table's rows.
- `network.py`: the whole network, on a slice of the examples at a time.

With autograd on the same forward pass, a step took a fifth longer (9.4 ms with 1 layer, p = 113 and batches of 512).
A forward pass compiled by torch.compile made up for that (8.1 ms), but compiling took 21 s in every job.
"""

EXAMPLES_PER_SLICE = 1024
"""Examples in one pass, so few that their neurons stay in the cache. The fastest of 256 … 4,096 within 3 %."""
