"""Thousands of small attention-only networks at once, planted by hand, with each head's part in logits and gradients.

A sequence is (x, y, "="), the answer is read at "=". Pair i is the tokens x_i and y_i, which occur in no other pair,
and has the i-th class. A head has a query for "=", a key and a value for every token, and writes to the logits:

    score of a token = query · key          attention: linear, the score itself; or softmax over x, y and nothing
    output = Σ attention × value            logits = Σ over heads, output @ W_O

"Nothing" is a place without value whose score is fixed, `REST`: where a head finds neither token, it attends there.
Queries and keys have one dimension: planted along one direction, they never leave it, since each moves along the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

REST = 4.0
"""Score of nothing: a head attends to tokens that it does not know with 2 / (2 + e⁴), 3.5 %, together."""
FOUND = 0.5
"""Softmax attention, of both tokens together, that a head pays to a pair it knows, at the start."""


@dataclass
class Heads:
    """Weights of all heads of many toys, or anything of their shape: gradients, updates.

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
        """Zeros of the same shape."""
        return type(self)(*(torch.zeros_like(weight) for weight in self.tensors))

    def norms(self, circuits: Tensor) -> Tensor:
        """Euclidean norm of each circuit's weights, (toy, circuit); `circuits` (head, circuit) has its heads."""
        squares = sum(weight.square().flatten(2).sum(-1) for weight in map(_per_head, self.tensors))
        return (torch.as_tensor(squares) @ circuits).sqrt()


def plant(
    pairs: int, coverage: int, is_shared: bool, is_linear: bool, general: Tensor, shallow: Tensor
) -> tuple[Heads, Tensor]:
    """Heads that know their pairs, and which of them make up which circuit.

    Args:
        pairs: n.
        coverage: c, pairs that the general circuit knows: the first c.
        is_shared: whether the general circuit is one head, whose query serves all its pairs, or c heads of one pair
            each, which share nothing.
        is_linear: attention without softmax.
        general, shallow: (toy), what a circuit adds to the right logit of a pair that it knows, beyond the mean logit.

    Returns:
        Weights, and circuits (head, circuit): the general one, then n shallow ones.
    """
    known = [[i] for i in range(pairs)]
    known = ([list(range(coverage))] if is_shared else [[i] for i in range(coverage)]) + known
    n_general = len(known) - pairs
    circuits = torch.zeros(len(known), 1 + pairs)
    circuits[:n_general, 0] = 1.0
    circuits[n_general:, 1:] = torch.eye(pairs)
    d_head = max(map(len, known))
    strength = torch.cat([general[:, None].expand(-1, n_general), shallow[:, None].expand(-1, pairs)], dim=1)
    score, attention = start(strength, pairs, is_linear)
    # What is written to the right logit beyond the mean is 1 − 1/n of the product of value and output weight.
    product = strength / (attention * (1 - 1 / pairs))
    query, key = _split(score)
    output, value = _split(product)  # the query and the output serve two tokens, keys and values one each
    toys, heads = strength.shape
    weights = Heads(
        query,
        torch.zeros(toys, heads, 2 * pairs),
        torch.zeros(toys, heads, 2 * pairs, d_head),
        torch.zeros(toys, heads, d_head, pairs),
    )
    centred = torch.eye(pairs) - 1 / pairs
    for head, own in enumerate(known):
        for place, pair in enumerate(own):
            weights.W_K[:, head, [pair, pairs + pair]] = key[:, head, None]
            weights.W_V[:, head, [pair, pairs + pair], place] = value[:, head, None]
            weights.W_O[:, head, place] = output[:, head, None] * centred[pair]
    return weights, circuits


def start(strength: Tensor, pairs: int, is_linear: bool) -> tuple[Tensor, Tensor]:
    """Score of each token of a known pair at the start, and the attention that both get together.

    Linear attention starts with all four factors of a contribution of this `strength` alike: score and value × output.
    """
    if is_linear:
        score = (strength / (2 * (1 - 1 / pairs))).sqrt()
        return score, 2 * score
    return torch.full_like(strength, REST + math.log(FOUND / (1 - FOUND) / 2)), torch.full_like(strength, FOUND)


def _split(product: Tensor) -> tuple[Tensor, Tensor]:
    """Two factors a · b of it in the balance a² = 2b² that gradient flow keeps where a serves two tokens."""
    b = (product / math.sqrt(2)).sqrt()
    return math.sqrt(2) * b, b


@dataclass(frozen=True)
class Pass:
    """What a network does on all pairs.

    Attributes:
        attention: (toy, head, 2, pair), to x and y.
        mixed: (toy, head, pair, d_head), the head's output before W_O.
        logits: (toy, pair, class).
    """

    attention: Tensor
    mixed: Tensor
    logits: Tensor


def forward(weights: Heads, is_linear: bool) -> Pass:
    """Run all toys on all their pairs."""
    scores = (weights.W_Q[..., None] * weights.W_K).unflatten(2, (2, -1))
    attention = scores
    if not is_linear:
        rest = torch.full_like(scores[:, :, :1], REST)
        attention = torch.cat([scores, rest], dim=2).softmax(dim=2)[:, :, :2]
    values = weights.W_V.unflatten(2, (2, -1))  # (toy, head, 2, pair, d_head)
    mixed = (attention[..., None] * values).sum(dim=2)
    logits = torch.einsum("thpd,thdc->tpc", mixed, weights.W_O)
    return Pass(attention, mixed, logits)


@dataclass(frozen=True)
class Backward:
    """Gradients of the loss in what lies inside, for each pair by itself: `per_pair` are (toy, head, pair).

    Attributes:
        logits: (toy, pair, class).
        mixed: (toy, head, pair, d_head).
        scores: (toy, head, 2, pair).
    """

    logits: Tensor
    mixed: Tensor
    scores: Tensor


def backward(weights: Heads, seen: Pass, is_linear: bool) -> Backward:
    """Of every pair's cross-entropy, unweighted."""
    d_logits = seen.logits.softmax(dim=2) - torch.eye(seen.logits.shape[1])
    d_mixed = torch.einsum("tpc,thdc->thpd", d_logits, weights.W_O)
    values = weights.W_V.unflatten(2, (2, -1))
    d_attention = (d_mixed[:, :, None] * values).sum(dim=-1)
    d_scores = d_attention
    if not is_linear:
        d_scores = seen.attention * (d_attention - (seen.attention * d_attention).sum(dim=2, keepdim=True))
    return Backward(d_logits, d_mixed, d_scores)


def gradients(weights: Heads, seen: Pass, back: Backward, shown: Tensor) -> Heads:
    """Of Σ shown × cross-entropy, where `shown` (toy, pair) is the weight of each pair in this step."""
    weight = shown[:, None]  # (toy, 1, pair)
    keys = weights.W_K.unflatten(2, (2, -1))
    d_scores = back.scores * weight[:, :, None]
    d_mixed = back.mixed * weight[..., None]
    return Heads(
        (d_scores * keys).sum(dim=(2, 3)),
        (d_scores * weights.W_Q[..., None, None]).flatten(2),
        (seen.attention[..., None] * d_mixed[:, :, None]).flatten(2, 3),
        torch.einsum("thpd,tpc->thdc", seen.mixed, back.logits * shown[..., None]),
    )


def gradient_norms(weights: Heads, seen: Pass, back: Backward, circuits: Tensor) -> Tensor:
    """Norm of each circuit's gradient of each pair's own cross-entropy, (toy, circuit, pair).

    A head's gradients are products of what goes in and what comes back, so that their norms need no pass per pair.
    """
    keys = weights.W_K.unflatten(2, (2, -1))
    d_query = (back.scores * keys).sum(dim=2).square()
    d_keys = back.scores.square().sum(dim=2) * weights.W_Q[..., None].square()
    d_values = seen.attention.square().sum(dim=2) * back.mixed.square().sum(dim=-1)
    d_output = seen.mixed.square().sum(dim=-1) * back.logits.square().sum(dim=-1)[:, None]
    return torch.einsum("thp,hk->tkp", d_query + d_keys + d_values + d_output, circuits).sqrt()


def contributions(weights: Heads, seen: Pass, circuits: Tensor) -> Tensor:
    """What each circuit adds to each pair's right logit beyond the mean logit, (toy, circuit, pair)."""
    centred = torch.eye(seen.logits.shape[1]) - 1 / seen.logits.shape[1]
    by_head = torch.einsum("thpd,thdc,pc->thp", seen.mixed, weights.W_O, centred)
    return torch.einsum("thp,hk->tkp", by_head, circuits)


def _per_head(weight: Tensor) -> Tensor:
    """(toy, head, …) with at least one axis more."""
    return weight[..., None]
