"""Margins and losses of each example after neurons are deleted, by running the rest of the network.

This is the plain way. `nested` has the fast way, which is tested against this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.models.layer import Layer


@dataclass(frozen=True)
class Answers:
    """Margins and losses of each example, by the number of deleted neurons.

    Attributes:
        ks: ascending numbers of deleted neurons.
        margins: right logit minus the largest other logit at each of `ks`, (k, example).
        kept: the subset of `ks` at which losses are known.
        losses: cross-entropy in nats at each of `kept`, (kept, example).
        matched_losses: cross-entropy of the logits divided by the checkpoint's logit scale, (kept, example).
    """

    ks: NDArray[np.int64]
    margins: Tensor
    kept: NDArray[np.int64]
    losses: Tensor
    matched_losses: Tensor


@torch.no_grad()
def recomputed(layer: Layer, sets: Sequence[NDArray[np.int64]], values: Tensor, scale: float) -> Answers:
    """Delete each set of neurons from the unchanged network, and run the rest of the network.

    Args:
        layer: place and examples to delete on.
        sets: one set of neurons per k, from the smallest set to the largest.
        values: new values of deleted units, (position, unit) or (example, position, unit).
        scale: the checkpoint's logit scale.
    """
    logits = (layer.answer(layer.without(_index(neurons, values), values)) for neurons in sets)
    return scored(layer, [len(neurons) for neurons in sets], logits, scale)


@torch.no_grad()
def subtracted(layer: Layer, sets: Sequence[NDArray[np.int64]], values: Tensor, scale: float) -> Answers:
    """Return the same as `recomputed` where the logits are linear in the place, without running the network.

    The logits are a constant plus the sum over units of unit × weights. So deleting units subtracts their change times
    their weights, exactly but for rounding. Use it for at most half of the neurons: rounding errors matter when little
    of the logits is left (see `nested`).
    """
    written = layer.units[:, 0] - values[..., 0, :]  # (example, unit)
    chosen = (_index(neurons, values) for neurons in sets)
    logits = (layer.logits - written[:, units] @ layer.weights[units] for units in chosen)
    return scored(layer, [len(neurons) for neurons in sets], logits, scale)


def scored(layer: Layer, ks: Sequence[int], logits_per_k: Iterable[Tensor], scale: float) -> Answers:
    """Return margins and losses from the logits (example, class) of each k."""
    margins, losses, matched_losses = [], [], []
    for logits in logits_per_k:
        margins.append(predictions.margins(logits, layer.labels))
        losses.append(predictions.surprise(logits, layer.labels))
        matched_losses.append(predictions.surprise(logits / scale, layer.labels))
    numbers = np.asarray(ks, dtype=np.int64)
    return Answers(numbers, torch.stack(margins), numbers, torch.stack(losses), torch.stack(matched_losses))


def _index(neurons: NDArray[np.int64], values: Tensor) -> Tensor:
    return torch.as_tensor(neurons, device=values.device)
