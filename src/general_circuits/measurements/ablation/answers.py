"""How well each example is still answered, for each number of deleted neurons: the plain way, which runs the network.

`nested` has the fast way, tested against this one.
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
    """Of each example, when so many neurons are deleted.

    Attributes:
        ks: ascending numbers of deleted neurons.
        margins: right logit minus the largest other one at each of `ks`, (k, example).
        kept: those of `ks` that losses are known of.
        losses: cross-entropy in nats at each of `kept`, (kept, example).
        matched_losses: the same of logits divided by the checkpoint's logit scale.
    """

    ks: NDArray[np.int64]
    margins: Tensor
    kept: NDArray[np.int64]
    losses: Tensor
    matched_losses: Tensor


@torch.no_grad()
def recomputed(layer: Layer, sets: Sequence[NDArray[np.int64]], values: Tensor, scale: float) -> Answers:
    """Delete each of these sets of neurons by itself, by running the rest of the network.

    Args:
        layer: where, and on which examples.
        sets: neurons, in ascending number.
        values: what deleted units are set to, (position, unit) or (example, position, unit).
        scale: the checkpoint's logit scale.
    """
    logits = (layer.answer(layer.without(_index(neurons, values), values)) for neurons in sets)
    return scored(layer, [len(neurons) for neurons in sets], logits, scale)


@torch.no_grad()
def subtracted(layer: Layer, sets: Sequence[NDArray[np.int64]], values: Tensor, scale: float) -> Answers:
    """The same where the logits are linear in the place, by taking away what the neurons wrote: no more than half."""
    written = layer.units[:, 0] - values[..., 0, :]  # (example, unit)
    chosen = (_index(neurons, values) for neurons in sets)
    logits = (layer.logits - written[:, units] @ layer.weights[units] for units in chosen)
    return scored(layer, [len(neurons) for neurons in sets], logits, scale)


def scored(layer: Layer, ks: Sequence[int], logits_per_k: Iterable[Tensor], scale: float) -> Answers:
    """From logits (example, class) for each k."""
    margins, losses, matched_losses = [], [], []
    for logits in logits_per_k:
        margins.append(predictions.margins(logits, layer.labels))
        losses.append(predictions.surprise(logits, layer.labels))
        matched_losses.append(predictions.surprise(logits / scale, layer.labels))
    numbers = np.asarray(ks, dtype=np.int64)
    return Answers(numbers, torch.stack(margins), numbers, torch.stack(losses), torch.stack(matched_losses))


def _index(neurons: NDArray[np.int64], values: Tensor) -> Tensor:
    return torch.as_tensor(neurons, device=values.device)
