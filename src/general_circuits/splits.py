"""Which examples train, and which of their labels are replaced by random ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.conditions import Split
from general_circuits.randomness import stream_seed
from general_circuits.tasks.table import IntArray


def units(pair: IntArray, split: Split) -> IntArray:
    """What is drawn as a whole, (example): the unordered pair, or the example itself."""
    return pair if split.split_by == "pair" else np.arange(len(pair), dtype=np.int32)


def training_size(pair: IntArray, split: Split) -> int:
    """Number of training examples: the same for every seed."""
    _, sizes = np.unique(units(pair, split), return_counts=True)
    return sum(size * _rounded(split.train_fraction * (sizes == size).sum()) for size in set(sizes.tolist()))


def draw_training(pair: IntArray, split: Split, seed: int) -> NDArray[np.bool_]:
    """Whether each example trains, (example).

    Units of one example (a = b) and of two are drawn separately, so that sizes are exact. A smaller fraction with the
    same seed is a subset of a larger one: conditions that differ in it are paired.
    """
    unit = units(pair, split)
    names, sizes = np.unique(unit, return_counts=True)
    generator = np.random.default_rng(stream_seed(seed, "split"))
    order = generator.permutation(len(names))
    chosen = []
    for size in sorted(set(sizes.tolist())):
        candidates = order[sizes[order] == size]
        chosen.append(names[candidates[: _rounded(split.train_fraction * len(candidates))]])
    return np.isin(unit, np.concatenate(chosen))


def draw_labels(
    target: IntArray, is_training: NDArray[np.bool_], n_classes: int, label_noise: float, seed: int
) -> IntArray:
    """The labels, (example): on a fraction `label_noise` of the training examples, a uniformly random class.

    The random class may be the right one, so a label noise of 1 means that labels and inputs are independent. Each
    example draws its own, also where its mirror image trains. Validation keeps the true targets.
    """
    generator = np.random.default_rng(stream_seed(seed, "labels"))
    order = generator.permutation(len(target))  # of all examples, so that a larger fraction of noise adds to a smaller
    noise = generator.integers(n_classes, size=len(target), dtype=np.int32)
    candidates = order[is_training[order]]
    replaced = candidates[: _rounded(label_noise * len(candidates))]
    labels = target.copy()
    labels[replaced] = noise[replaced]
    return labels


def draw(pair: IntArray, target: IntArray, n_classes: int, split: Split, seed: int) -> pd.DataFrame:
    """One replica's split: for each `example` its side, `split`, and its `label`."""
    trains = draw_training(pair, split, seed)
    side = np.where(trains, "train", "validation")
    labels = draw_labels(target, trains, n_classes, split.label_noise, seed)
    return pd.DataFrame({"example": range(len(pair)), "split": side, "label": labels})


def _rounded(count: float) -> int:
    """Nearest whole number, halves up."""
    return math.floor(count + 0.5)
