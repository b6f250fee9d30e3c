"""Thousands of small attention-only networks at once, planted by hand, with each head's part in logits and gradients.

A sequence is (x, y, "="); the answer is read at "=". Pair i is the tokens x_i and y_i, which occur in no other pair.
Its answer is class i. A head has a query for "=", and a key and a value for every token. It writes to the logits:

    score of a token = query · key          attention: linear, the score itself; or softmax over x, y and nothing
    output = Σ attention × value            logits = Σ over heads, output @ W_O

"Nothing" is a place with the fixed score `REST` and no value: a head that finds neither token attends there. Queries
and keys have one dimension. The gradient of each lies along the other, so that a planted pair never leaves its line.

Tensors have the axes (toy, head, …), and no operation mixes toys: each trains as it would alone. Gradients are written
out by hand. They are products of a few factors, which gives every pair's own gradient norm without a pass per pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

REST = 4.0
"""Score of nothing. Two tokens that a head does not know get 2 / (2 + e⁴) of its attention together, 3.5 %."""
FOUND = 0.5
"""Softmax attention to both tokens of a known pair together, at the start."""


@dataclass
class Heads:
    """Weights of all heads of many toys, or tensors of the same shapes: gradients, updates.

    Attributes:
        W_Q: (toy, head).
        W_K: (toy, head, token), tokens x_1 … x_n, y_1 … y_n.
        W_V: (toy, head, token, d_head).
        W_O: (toy, head, d_head, class).
    """

    W_Q: Tensor
    W_K: Tensor
    W_V: Tensor
    W_O: Tensor

    @property
    def tensors(self) -> list[Tensor]:
        return [self.W_Q, self.W_K, self.W_V, self.W_O]

    def like(self) -> Self:
        """Return zeros of the same shapes."""
        return type(self)(*(torch.zeros_like(weight) for weight in self.tensors))

    def norms(self, circuits: Tensor) -> Tensor:
        """Return the norm of each circuit's weights, (toy, circuit); `circuits` (head, circuit) has its heads."""
        squares = sum(weight.square().flatten(2).sum(-1) for weight in map(_per_head, self.tensors))
        return (torch.as_tensor(squares) @ circuits).sqrt()


def plant(
    pairs: int, coverage: int, is_shared: bool, is_linear: bool, general: Tensor, shallow: Tensor
) -> tuple[Heads, Tensor]:
    """Plant heads that know their pairs, as one general circuit and a shallow one for each pair.

    Args:
        pairs: n, the number of pairs.
        coverage: c; the general circuit knows the first c pairs.
        is_shared: whether the general circuit is one head, whose query serves all its pairs. Otherwise it is c heads
            of one pair each, which share nothing.
        is_linear: whether attention has no softmax.
        general, shallow: (toy), logits that a circuit adds to a known pair's right logit, beyond the mean logit.

    Returns:
        Weights, and circuits (head, circuit): 1 where a head belongs to one; the general circuit comes first.
    """
    known = [[i] for i in range(pairs)]
    known = ([list(range(coverage))] if is_shared else [[i] for i in range(coverage)]) + known
    n_general = len(known) - pairs
    circuits = torch.zeros(len(known), 1 + pairs)
    circuits[:n_general, 0] = 1.0
    circuits[n_general:, 1:] = torch.eye(pairs)
    d_head = max(map(len, known))  # a head keeps one dimension of its values for each pair that it knows
    strength = torch.cat([general[:, None].expand(-1, n_general), shallow[:, None].expand(-1, pairs)], dim=1)
    score, attention = start(strength, pairs, is_linear)
    # What is written to the right logit beyond the mean is 1 − 1/n of the product of value and output weight.
    product = strength / (attention * (1 - 1 / pairs))
    query, key = _balanced(score)
    output, value = _balanced(product)  # a pair's query and output serve two tokens, a key and a value one each
    toys, heads = strength.shape
    weights = Heads(
        query,
        torch.zeros(toys, heads, 2 * pairs),
        torch.zeros(toys, heads, 2 * pairs, d_head),
        torch.zeros(toys, heads, d_head, pairs),
    )
    # Written vectors are centred: they add nothing to the mean logit.
    centred = torch.eye(pairs) - 1 / pairs
    for head, pairs_known in enumerate(known):
        for place, pair in enumerate(pairs_known):
            weights.W_K[:, head, [pair, pairs + pair]] = key[:, head, None]
            weights.W_V[:, head, [pair, pairs + pair], place] = value[:, head, None]
            weights.W_O[:, head, place] = output[:, head, None] * centred[pair]
    return weights, circuits


def start(strength: Tensor, pairs: int, is_linear: bool) -> tuple[Tensor, Tensor]:
    """Return the initial score of each token of a known pair, and the attention to both together.

    With linear attention a contribution is 2 · score · value · output · (1 − 1/n). It starts with the score equal to
    value × output. With softmax every head starts at the attention `FOUND`, whatever the strength.
    """
    if is_linear:
        score = (strength / (2 * (1 - 1 / pairs))).sqrt()
        return score, 2 * score
    return torch.full_like(strength, REST + math.log(FOUND / (1 - FOUND) / 2)), torch.full_like(strength, FOUND)


def _balanced(product: Tensor) -> tuple[Tensor, Tensor]:
    """Split a product into a · b with a² = 2b², where a serves two tokens and b one.

    Then a' = 2b and b' = a, up to a common factor, so that gradient flow keeps a² − 2b² at 0.
    """
    b = (product / math.sqrt(2)).sqrt()
    return math.sqrt(2) * b, b


@dataclass(frozen=True)
class Pass:
    """Activations of all toys on all pairs.

    Attributes:
        attention: (toy, head, 2, pair), to x and to y.
        mixed: (toy, head, pair, d_head), the head's output before W_O.
        logits: (toy, pair, class).
    """

    attention: Tensor
    mixed: Tensor
    logits: Tensor


def forward(weights: Heads, is_linear: bool) -> Pass:
    """Run all toys on all their pairs."""
    # A pair's tokens are x_i and y_i, so the token axis splits into (2, pair), and no sequences have to be built.
    scores = (weights.W_Q[..., None] * weights.W_K).unflatten(2, (2, -1))  # (toy, head, 2, pair)
    attention = scores
    if not is_linear:
        # The place "nothing" takes part in the softmax and is then dropped: it has no value to add.
        rest = torch.full_like(scores[:, :, :1], REST)
        attention = torch.cat([scores, rest], dim=2).softmax(dim=2)[:, :, :2]
    values = weights.W_V.unflatten(2, (2, -1))  # (toy, head, 2, pair, d_head)
    mixed = (attention[..., None] * values).sum(dim=2)
    logits = torch.einsum("thpd,thdc->tpc", mixed, weights.W_O)
    return Pass(attention, mixed, logits)


@dataclass(frozen=True)
class Backward:
    """Gradients of each pair's own loss in the activations.

    Attributes:
        logits: (toy, pair, class).
        mixed: (toy, head, pair, d_head).
        scores: (toy, head, 2, pair).
    """

    logits: Tensor
    mixed: Tensor
    scores: Tensor


def backward(weights: Heads, run: Pass, is_linear: bool) -> Backward:
    """Return gradients of every pair's cross-entropy, unweighted."""
    d_logits = run.logits.softmax(dim=2) - torch.eye(run.logits.shape[1])  # pair i has class i
    d_mixed = torch.einsum("tpc,thdc->thpd", d_logits, weights.W_O)
    values = weights.W_V.unflatten(2, (2, -1))  # (toy, head, 2, pair, d_head)
    d_attention = (d_mixed[:, :, None] * values).sum(dim=-1)
    d_scores = d_attention
    if not is_linear:
        # The softmax's Jacobian, a (g − Σ a g). "Nothing" has no value: its g is 0, and the sum needs no term for it.
        d_scores = run.attention * (d_attention - (run.attention * d_attention).sum(dim=2, keepdim=True))
    return Backward(d_logits, d_mixed, d_scores)


def gradients(weights: Heads, run: Pass, back: Backward, shown: Tensor) -> Heads:
    """Return the gradient of Σ shown × cross-entropy: `shown` (toy, pair) weighs each pair in this step."""
    weight = shown[:, None]  # (toy, 1, pair)
    keys = weights.W_K.unflatten(2, (2, -1))
    d_scores = back.scores * weight[:, :, None]
    d_mixed = back.mixed * weight[..., None]
    # The query is in every pair's score, so its gradient adds up all pairs. A key and a value are in one pair's alone.
    return Heads(
        (d_scores * keys).sum(dim=(2, 3)),
        (d_scores * weights.W_Q[..., None, None]).flatten(2),
        (run.attention[..., None] * d_mixed[:, :, None]).flatten(2, 3),
        torch.einsum("thpd,tpc->thdc", run.mixed, back.logits * shown[..., None]),
    )


def gradient_norms(weights: Heads, run: Pass, back: Backward, circuits: Tensor) -> Tensor:
    """Return the norm of each pair's own gradient in each circuit's weights, (toy, circuit, pair).

    One pair's gradient in W_V or W_O is an outer product of activations and their gradients. Its norm is the product
    of theirs, so one pass serves all pairs.
    """
    keys = weights.W_K.unflatten(2, (2, -1))
    d_query = (back.scores * keys).sum(dim=2).square()
    d_keys = back.scores.square().sum(dim=2) * weights.W_Q[..., None].square()
    d_values = run.attention.square().sum(dim=2) * back.mixed.square().sum(dim=-1)
    d_output = run.mixed.square().sum(dim=-1) * back.logits.square().sum(dim=-1)[:, None]
    return torch.einsum("thp,hk->tkp", d_query + d_keys + d_values + d_output, circuits).sqrt()


def contributions(weights: Heads, run: Pass, circuits: Tensor) -> Tensor:
    """Return what each circuit adds to each pair's right logit beyond the mean logit, (toy, circuit, pair)."""
    centred = torch.eye(run.logits.shape[1]) - 1 / run.logits.shape[1]
    by_head = torch.einsum("thpd,thdc,pc->thp", run.mixed, weights.W_O, centred)
    return torch.einsum("thp,hk->tkp", by_head, circuits)


def _per_head(weight: Tensor) -> Tensor:
    """Add an axis to (toy, head, …), so that W_Q, which ends there, can be flattened like the others."""
    return weight[..., None]
