"""What deleted units are set to: zero, their mean, or what they are in another example."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from general_circuits.layer import Layer
from general_circuits.randomness import stream_seed

Deletion = Literal["zero", "mean", "resample"]


def replacement(layer: Layer, train: Layer, deletion: Deletion, seed: int) -> Tensor:
    """What each unit of `layer` is set to when it is deleted.

    Args:
        layer: the examples to delete on.
        train: the same place on training examples, which may be the same.
        deletion: `zero`; `mean`, over training examples at each position; or `resample` (causal scrubbing's resampling
            ablation): for each example, what the units are in one training example, drawn by `donors`.
        seed: the replica.

    Returns:
        (position, unit) for `zero` and `mean`, (example, position, unit) for `resample`.
    """
    if deletion == "zero":
        return torch.zeros_like(train.units[0])
    if deletion == "mean":
        return train.units.mean(dim=0)
    chosen = donors(len(layer.units), len(train.units), layer is train, seed)
    return train.units[torch.as_tensor(chosen, device=train.units.device)]


def donors(n_examples: int, n_train: int, are_same: bool, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For each example, the number of the training example whose units it gets, (example).

    The same at every step of a replica. Where the examples are the training examples themselves (`are_same`), none gets
    its own, unless there is no other.
    """
    generator = np.random.default_rng(stream_seed(seed, "donors"))
    if not are_same or n_train == 1:
        return generator.integers(n_train, size=n_examples)
    drawn = generator.integers(n_train - 1, size=n_examples)
    return drawn + (drawn >= np.arange(n_examples))
