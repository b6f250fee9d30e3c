"""What deleted units are set to: zero, their mean, or what they are in another example."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.models.layer import Layer
from general_circuits.seeds import stream_seed

Deletion = Literal["zero", "mean", "resample"]


def replacement(layer: Layer, train: Layer, deletion: Deletion, seed: int, own: Tensor | None = None) -> Tensor:
    """What each unit of `layer` is set to when it is deleted.

    Args:
        layer: the examples to delete on.
        train: the same place on all training examples.
        deletion: `zero`; `mean`, over training examples at each position; or `resample` (causal scrubbing's resampling
            ablation): for each example, what the units are in one training example, drawn by `donors`.
        seed: the replica.
        own: where the examples of `layer` are among the training examples, (example); None if they are others.

    Returns:
        (position, unit) for `zero` and `mean`, (example, position, unit) for `resample`.
    """
    if deletion == "zero":
        return torch.zeros_like(train.units[0])
    if deletion == "mean":
        return train.units.mean(dim=0)
    chosen = donors(len(layer.units), len(train.units), None if own is None else own.cpu().numpy(), seed)
    return train.units[torch.as_tensor(chosen, device=train.units.device)]


def donors(n_examples: int, n_train: int, own: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """For each example, the number of the training example whose units it gets, (example).

    The same at every step of a replica. Where the examples have places of their `own` among the training examples,
    none gets its own units, unless there is no other.
    """
    generator = np.random.default_rng(stream_seed(seed, "donors"))
    if own is None or n_train == 1:
        return generator.integers(n_train, size=n_examples)
    drawn = generator.integers(n_train - 1, size=n_examples)
    return drawn + (drawn >= own)
