"""Which examples train, and which of their labels are replaced by random ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.seeds import stream_seed
from general_circuits.tasks.settings import Split
from general_circuits.tasks.table import IntArray


class SplitError(ValueError):
    """A number of training examples that cannot be had; the message says why."""


def units(pair: IntArray, split: Split) -> IntArray:
    """What is drawn as a whole, (example): the unordered pair, or the example itself."""
    return pair if split.split_by == "pair" else np.arange(len(pair), dtype=np.int32)


def training_size(pair: IntArray, split: Split) -> int:
    """Number of training examples: the same for every seed. `SplitError` if a count cannot be had."""
    _, sizes = np.unique(units(pair, split), return_counts=True)
    return sum(size * n for size, n in drawn_units(sizes, split).items())


def drawn_units(sizes: NDArray[np.int64], split: Split) -> dict[int, int]:
    """How many units of each size train, by size; `sizes` (unit) are the examples of each.

    A fraction is taken of either size, so that a smaller one is a subset of a larger. A count is met exactly: singles
    (a = b) train in proportion but for the one that makes the rest even.
    """
    available = {size: int((sizes == size).sum()) for size in sorted(set(sizes.tolist()))}
    if isinstance(split.train_size, float):
        return {size: _rounded(split.train_size * n) for size, n in available.items()}
    count, total = split.train_size, int(sizes.sum())
    if count > total:
        raise SplitError(f"should be below the {total} examples")
    singles, pairs = available.get(1, 0), available.get(2, 0)
    possible = [n for n in range(singles + 1) if (count - n) % 2 == 0 and 0 <= (count - n) // 2 <= pairs]
    if not possible:
        raise SplitError(f"cannot be made of {pairs} pairs of two and {singles} single examples; split_by: example can")
    n = min(possible, key=lambda n: abs(n - count * singles / total))
    return {size: {1: n, 2: (count - n) // 2}[size] for size in available}


def draw_training(pair: IntArray, split: Split, seed: int) -> NDArray[np.bool_]:
    """Whether each example trains, (example).

    Units of one example (a = b) and of two are drawn separately, so that sizes are exact. A smaller fraction with the
    same seed is a subset of a larger one: conditions that differ in it are paired.
    """
    unit = units(pair, split)
    names, sizes = np.unique(unit, return_counts=True)
    generator = np.random.default_rng(stream_seed(seed, "split"))
    order = generator.permutation(len(names))
    chosen, wanted = [], drawn_units(sizes, split)
    for size in sorted(set(sizes.tolist())):
        candidates = order[sizes[order] == size]
        chosen.append(names[candidates[: wanted[size]]])
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


def draw(pair: IntArray, target: IntArray, n_classes: int, split: Split, replica: int) -> pd.DataFrame:
    """One replica's split: for each `example` its side, `split`, its `target` and its `label`."""
    split_seed = replica if split.split_seed == "replica" else split.split_seed
    label_seed = replica if split.label_seed == "replica" else split.label_seed
    trains = draw_training(pair, split, split_seed)
    side = np.where(trains, "train", "validation")
    labels = draw_labels(target, trains, n_classes, split.label_noise, label_seed)
    return pd.DataFrame({"example": range(len(pair)), "split": side, "target": target, "label": labels})


def _rounded(count: float) -> int:
    """Nearest whole number, halves up."""
    return math.floor(count + 0.5)
