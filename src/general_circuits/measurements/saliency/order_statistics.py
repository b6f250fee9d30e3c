"""Statistics of each neuron's saliency over the examples, from all of the examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.floating]

IN_LOGITS = ("median", "median_magnitude", "mean_magnitude", "q95_magnitude")
"""Columns that are in units of the target. `breadth` is a ratio and has no unit."""


def neuron_statistics(saliency: Tensor) -> dict[str, Floats]:
    """Summarise saliency (example, neuron) as one number per neuron: a map from each statistic's name to (neuron).

    `median` is the median of the signed saliency. `median_magnitude`, `mean_magnitude` and `q95_magnitude` describe its
    absolute value. `breadth` is the participation ratio (Σ|s|)² / (n·Σs²). It is 1/n if only one example has saliency,
    1 if all have the same magnitude, and 0 for a neuron without saliency.
    """
    # Neurons are rows, in the network's precision: sorting rows in numpy is the fastest way to exact quantiles.
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
    """Return the mean and the breadth of magnitudes (neuron, example): (neuron) each. Sums are in double precision."""
    n = magnitude.shape[1]
    largest = magnitude.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        shares = magnitude / np.where(largest == 0, 1, largest)  # at most 1, so that no square under- or overflows
        total = shares.sum(axis=1, dtype=np.float64)
        squares = np.einsum("ij,ij->i", shares, shares, dtype=np.float64)
        breadth = np.where(squares == 0, 0.0, np.square(total) / (n * np.where(squares == 0, 1, squares)))
        return total / n * largest[:, 0], breadth


def _quantile(ordered: Floats, q: float) -> Floats:
    """Return a quantile of each sorted row, linear between its two neighbours. A row with a NaN has quantile NaN."""
    place = q * (ordered.shape[1] - 1)
    below = int(place)
    low, high = ordered[:, below].astype(np.float64), ordered[:, min(below + 1, ordered.shape[1] - 1)]
    return np.where(np.isnan(ordered[:, -1]), np.nan, low + (place - below) * (high - low))  # NaN sorts to the end
