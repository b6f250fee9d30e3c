"""Gradient flow of the smallest toy: one general circuit against one shallow one. docs/duels.md derives it.

The loss is the mean cross-entropy of n pairs with n classes. All pairs are alike, so one pair stands for all. A circuit
writes `attended · value · output` times the centred class vector e_i − 1/n, and that product is its part in the margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

Array = NDArray[np.float64]


def shares(
    pairs: int,
    coverage: int,
    strengths: tuple[float, float],
    scores: tuple[float, float],
    attentions: tuple[float, float],
    rest: float | None,
    weight_decay: float,
    times: Sequence[float],
) -> tuple[Array, Array]:
    """Integrate what the general and a shallow circuit add to the right logit of a pair that both know.

    Each circuit is four factors: query, key, value and output weight. The general query serves `coverage` pairs. The
    flow is exact for a coverage of 1 and of n. In between it neglects that other classes are no longer alike.

    Args:
        pairs: n, all shown in each step; their classes compete in the softmax.
        coverage: c, pairs whose gradients the general query adds up.
        strengths: logits that the general and the shallow circuit add at the start.
        scores: each circuit's score of each token of a known pair at the start.
        attentions: each circuit's attention to both tokens together at the start.
        rest: score of nothing, for softmax attention; None for linear attention.
        weight_decay: λ of L2.
        times: learning rate × step, ascending.

    Returns:
        Logits of the general and of the shallow circuit, each (time).
    """
    # Squared length of the centred class vector e_i − 1/n. Gradients that pass through W_O carry it once.
    loss = 1 - 1 / pairs
    cover = np.array([float(coverage), 1.0])
    # A shared head also writes the other classes that it knows. The centred vectors of two classes have the product
    # −1/n, so values learn to write the others negatively. Softmax counts that as a gain of the right class.
    through = loss + (cover - 1) / (pairs * (pairs - 1))

    def gate(scores: Array) -> tuple[Array, Array]:
        """Return the attention to both tokens, and its derivative in their common score."""
        if rest is None:
            return 2 * scores, np.full_like(scores, 2.0)
        # Both tokens have one score s: 2eˢ / (2eˢ + e^rest).
        share = 2 / (2 + np.exp(rest - scores))
        return share, share * (1 - share)

    def change(_: float, state: Array) -> Array:
        query, key, value, output = state.reshape(4, 2)  # each (circuit): general, shallow
        attended, slope = gate(query * key)
        margin = (attended * value * output).sum()
        # With all wrong classes alike, minus the mean loss's gradient in a pair's logits is push · (e_i − 1/n), where
        # push = (1 − p) / (n − 1) and p = eᵐ / (eᵐ + n − 1). Beyond 700, eᵐ overflows a float; push is 0 there anyway.
        push = 1 / (pairs - 1 + math.exp(min(margin, 700.0)))
        by_score = push * loss * slope * value * output
        # The query hears from all pairs that it serves. A key and a value hear from one token: half of their pair.
        pull = [cover * by_score * key, by_score * query / 2]
        pull += [push * through * attended / 2 * output, push * attended * value]
        return (np.array(pull) - weight_decay * np.array([query, key, value, output])).ravel()

    score, product = np.array(scores), np.array(strengths) / (np.array(attentions) * loss)
    # Factors start in the balance query² = 2 key², output² = 2 value², as `toy_network.plant` has them.
    key, value = (np.sqrt(factors / math.sqrt(2)) for factors in (score, product))
    start = np.array([score / key, key, value, product / value]).ravel()
    solution = solve_ivp(change, (times[0], times[-1]), start, t_eval=times, method="LSODA", rtol=1e-8, atol=1e-12)
    query, key, value, output = solution.y.reshape(4, 2, -1)  # each (circuit, time)
    attended, _ = gate(query * key)
    both = loss * attended * value * output
    return both[0], both[1]
