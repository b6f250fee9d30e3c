"""Gradient flow of the smallest toy: one general circuit against one shallow one. docs/duels.md derives it."""

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
    """Contributions of the general and of a shallow circuit to the right logit of a pair that both know.

    Each circuit is four factors: query, key, value and output weight; the general one's query serves `coverage` pairs.

    Args:
        pairs: n, of which each step shows all; their classes compete in the softmax.
        coverage: c, pairs whose gradients its query adds up.
        strengths: contributions of the general circuit and of the shallow one, at the start.
        scores, attentions: of each circuit, that of each token of a known pair, and of both together, at the start.
        rest: score of nothing, for softmax attention; None for linear attention.
        weight_decay: λ of L2.
        times: ascending; learning rate × step.

    Returns:
        Two arrays (time).
    """
    loss = 1 - 1 / pairs
    cover = np.array([float(coverage), 1.0])
    # What a value gains on its own class through the output weights of the other classes its head knows.
    through = loss + (cover - 1) / (pairs * (pairs - 1))

    def gate(scores: Array) -> tuple[Array, Array]:
        """Attention to both tokens, and its derivative in their common score."""
        if rest is None:
            return 2 * scores, np.full_like(scores, 2.0)
        share = 2 / (2 + np.exp(rest - scores))
        return share, share * (1 - share)

    def change(_: float, state: Array) -> Array:
        query, key, value, output = state.reshape(4, 2)
        attended, slope = gate(query * key)
        margin = (attended * value * output).sum()
        push = 1 / (pairs - 1 + math.exp(min(margin, 700.0)))  # of each pair's mean loss: (1 − p) / (n − 1)
        by_score = push * loss * slope * value * output
        pull = [cover * by_score * key, by_score * query / 2]  # both tokens' keys share the slope
        pull += [push * through * attended / 2 * output, push * attended * value]
        return (np.array(pull) - weight_decay * np.array([query, key, value, output])).ravel()

    score, product = np.array(scores), np.array(strengths) / (np.array(attentions) * loss)
    key, value = (np.sqrt(factors / math.sqrt(2)) for factors in (score, product))
    start = np.array([score / key, key, value, product / value]).ravel()
    found = solve_ivp(change, (times[0], times[-1]), start, t_eval=times, method="LSODA", rtol=1e-8, atol=1e-12)
    query, key, value, output = found.y.reshape(4, 2, -1)
    attended, _ = gate(query * key)
    both = loss * attended * value * output
    return both[0], both[1]
