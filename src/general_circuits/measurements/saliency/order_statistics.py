"""How each neuron's saliency is spread over the examples, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating]

IN_LOGITS = ("median", "median_magnitude", "mean_magnitude", "q95_magnitude")
"""Of the columns, those that grow with the target."""


def neuron_statistics(saliency: Tensor) -> dict[str, Floats]:
    """Saliency (example, neuron) → by name, one number of each neuron, (neuron).

    `median` of the signed saliency; `median_magnitude`, `mean_magnitude`, `q95_magnitude` of its absolute
    value; `breadth`, the participation ratio (Σ|s|)² / (n·Σs²) from 1/n (one example) to 1 (all alike), 0 for a neuron
    without saliency.
    """
    # Neurons in rows, in the network's own precision: numpy sorts a row much faster than anything else finds quantiles.
    signed = np.array(saliency.detach().cpu().numpy().T, order="C")  # (neuron, example), to be sorted in place
    magnitude = np.abs(signed)
    mean, breadth = _mean_and_breadth(magnitude)
    signed.sort(axis=1)
    magnitude.sort(axis=1)
    return {
        "median": _quantile(signed, 0.5),
        "median_magnitude": _quantile(magnitude, 0.5),
        "mean_magnitude": mean,
        "q95_magnitude": _quantile(magnitude, 0.95),
        "breadth": breadth,
    }


def _mean_and_breadth(magnitude: Floats) -> tuple[Floats, Floats]:
    """Of magnitudes (neuron, example), sums in double precision: (neuron) each."""
    n = magnitude.shape[1]
    largest = magnitude.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        shares = magnitude / np.where(largest == 0, 1, largest)  # so that no square vanishes or overflows
        total = shares.sum(axis=1, dtype=np.float64)
        squares = np.einsum("ij,ij->i", shares, shares, dtype=np.float64)
        breadth = np.where(squares == 0, 0.0, np.square(total) / (n * np.where(squares == 0, 1, squares)))
        return total / n * largest[:, 0], breadth


def _quantile(ordered: Floats, q: float) -> Floats:
    """Of each sorted row, linear between its two neighbours; NaN where the row has one, which sorts to its end."""
    place = q * (ordered.shape[1] - 1)
    below = int(place)
    low, high = ordered[:, below].astype(np.float64), ordered[:, min(below + 1, ordered.shape[1] - 1)]
    return np.where(np.isnan(ordered[:, -1]), np.nan, low + (place - below) * (high - low))
