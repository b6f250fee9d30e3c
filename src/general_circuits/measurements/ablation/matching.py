"""Other neurons that are as active as given ones: what tells being salient from being active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CALIPER = 0.25
"""Largest distance of a matched neuron's activation norm, in standard deviations over the ranked neurons."""


def matched(order: NDArray[np.int64], k: int, norm: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """For the first k of `order`, as many others of like activation norm, (k); None where there are too few.

    Greedy from the first, without replacement, nearest norm first, within `CALIPER` standard deviations.

    Args:
        order: the ranked neurons (ranked), of which the others come.
        k: how many.
        norm: of every neuron of the place (neuron).
    """
    if 2 * k > len(order):
        return None
    free = np.zeros(len(norm), dtype=bool)
    free[order[k:]] = True
    caliper = CALIPER * norm[order].std() if k else 0.0
    partners = np.empty(k, dtype=np.int64)
    for i, neuron in enumerate(order[:k]):
        distance = np.where(free, np.abs(norm - norm[neuron]), np.inf)
        partners[i] = np.argmin(distance)
        if not distance[partners[i]] <= caliper:
            return None
        free[partners[i]] = False
    return partners
