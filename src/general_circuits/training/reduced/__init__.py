"""The networks of `models/` with less arithmetic: the same logits and gradients, to rounding.

An example is three tokens, a b =, and only the answer at the last position counts. Therefore

- the last block asks a query, runs its neurons and unembeds at the last position only;
- what sees one token is computed once per token, not per example: everything before the weights of the first
  attention, and in every block the first position, which sees only a;
- "=" is the same in every example: in the first block its query is one vector, and keys and values are taken relative
  to its own, since a softmax does not change when its scores shift, and its weights sum to 1;
- in large batches, what a head of the first block writes for a token is carried on to neurons and logits where only
  linear maps stand between: an example's neurons are then a weighted sum of a few rows of a table;
- two positions' rows of that table differ by the same for every token;
- a bias of keys shifts all scores of a query alike: it has no effect, and its gradient is zero;
- W_out·W_U is multiplied out where that saves operations.

`tape.py` is how: a step is a list of calls on fixed memory, made once and then repeated. `network.py` is what.
Autograd on such a forward pass was a fifth slower (9.4 ms a step: 1 layer, p = 113, batch 512); torch.compile made up
for that (8.1 ms), after 21 s of compiling in every job.
"""

EXAMPLES_PER_SLICE = 1024
"""Examples at once: what their neurons need stays in the cache. The fastest of 256 … 4,096 within 3 %."""
