"""Matched control: delete other neurons with similar activation norms, to separate saliency from mere activity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CALIPER = 0.25
"""Largest distance of a matched neuron's activation norm, in standard deviations over the ranked neurons."""


def matched(order: NDArray[np.int64], k: int, norm: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """Match each of the first k neurons of `order` to another neuron with a similar activation norm: (k).

    The matching is greedy from the first neuron, without replacement. Each neuron gets the free one with the nearest
    norm. The result is None if any of them has no free neuron within `CALIPER` standard deviations.

    Args:
        order: ranked neurons, (ranked). Matches come from the ranked neurons after the first k.
        k: number of neurons to match.
        norm: activation norm of every neuron of the place, (neuron).
    """
    if 2 * k > len(order):
        return None  # fewer neurons remain than are to be matched
    free = np.zeros(len(norm), dtype=bool)
    free[order[k:]] = True
    caliper = CALIPER * norm[order].std() if k else 0.0
    partners = np.empty(k, dtype=np.int64)
    for i, neuron in enumerate(order[:k]):
        distance = np.where(free, np.abs(norm - norm[neuron]), np.inf)
        partners[i] = np.argmin(distance)
        if not distance[partners[i]] <= caliper:  # also true for a norm that is not finite
            return None
        free[partners[i]] = False
    return partners
