"""Values of deleted units: zero, the unit's mean, or its value in another example."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.models.layer import Layer
from general_circuits.seeds import stream_seed

Deletion = Literal["zero", "mean", "resample"]


def replacement(layer: Layer, train: Layer, deletion: Deletion, seed: int, train_rows: Tensor | None = None) -> Tensor:
    """Return the values that the units of `layer` take when they are deleted.

    Args:
        layer: the examples to delete on.
        train: the same place on all training examples.
        deletion: `zero`, `mean` (over training examples, at each position), or `resample`. The last is the resampling
            ablation of causal scrubbing: each example takes the units of one training example, drawn by `donors`.
        seed: the replica's seed.
        train_rows: rows of the layer's examples among the training examples, (example), or None for other examples.

    Returns:
        (position, unit) for `zero` and `mean`, (example, position, unit) for `resample`.
    """
    if deletion == "zero":
        return torch.zeros_like(train.units[0])
    if deletion == "mean":
        return train.units.mean(dim=0)
    chosen = donors(len(layer.units), len(train.units), None if train_rows is None else train_rows.cpu().numpy(), seed)
    return train.units[torch.as_tensor(chosen, device=train.units.device)]


def donors(n_examples: int, n_train: int, train_rows: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Draw, for each example, the row of the training example whose units it takes, (example).

    The draw is the same at every step of a replica. A training example never draws itself, unless it is the only one.

    Args:
        n_examples: number of examples to draw for.
        n_train: number of training examples.
        train_rows: rows of the examples among the training examples, or None for other examples.
        seed: the replica's seed.
    """
    generator = np.random.default_rng(stream_seed(seed, "donors"))
    if train_rows is None or n_train == 1:
        return generator.integers(n_train, size=n_examples)
    # Draw from one row fewer, then step over the example's own row: all other rows are equally likely.
    drawn = generator.integers(n_train - 1, size=n_examples)
    return drawn + (drawn >= train_rows)
