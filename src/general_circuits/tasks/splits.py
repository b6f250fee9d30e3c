"""Splits: the examples that train, and random labels for some of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.seeds import stream_seed
from general_circuits.tasks.latin_square import draw_latin_square
from general_circuits.tasks.settings import Split
from general_circuits.tasks.table import IntArray


class SplitError(ValueError):
    """Number of training examples that no split can have; the message says why."""


def units(pair: IntArray, split: Split) -> IntArray:
    """Return the unit that each example is drawn with, (example): its unordered pair, or the example by itself."""
    return pair if split.split_by == "pair" else np.arange(len(pair), dtype=np.int32)


def training_size(pair: IntArray, split: Split) -> int:
    """Return the number of training examples, which is the same for every seed.

    Raises:
        SplitError: no split has the count that `train_size` asks for.
    """
    _, sizes = np.unique(units(pair, split), return_counts=True)
    return sum(size * n for size, n in drawn_units(sizes, split).items())


def drawn_units(sizes: NDArray[np.int64], split: Split) -> dict[int, int]:
    """Return how many units of each size train, as size → number.

    A fraction is taken of each size separately, so that a smaller fraction trains a subset of a larger one. A count is
    met exactly: singles (a = b) train in proportion, up to the one more or less that leaves an even rest for pairs.

    Args:
        sizes: how many examples each unit has, (unit): 1 or 2.
        split: the split's settings.

    Raises:
        SplitError: units of these sizes do not add up to the count.
    """
    available = {size: int((sizes == size).sum()) for size in sorted(set(sizes.tolist()))}
    if isinstance(split.train_size, float):
        return {size: _rounded(split.train_size * n) for size, n in available.items()}
    count, total = split.train_size, int(sizes.sum())
    if count > total:
        raise SplitError(f"should be below the {total} examples")
    singles, pairs = available.get(1, 0), available.get(2, 0)
    # n singles leave count − n examples, which whole pairs must fill.
    possible = [n for n in range(singles + 1) if (count - n) % 2 == 0 and 0 <= (count - n) // 2 <= pairs]
    if not possible:
        raise SplitError(f"cannot be made of {pairs} pairs of two and {singles} single examples; split_by: example can")
    n = min(possible, key=lambda n: abs(n - count * singles / total))
    return {size: {1: n, 2: (count - n) // 2}[size] for size in available}


def draw_training(pair: IntArray, split: Split, seed: int) -> NDArray[np.bool_]:
    """Draw whether each example trains, (example).

    Units of one example (a = b) and of two are drawn separately, so that sizes are exact. With one seed a smaller
    fraction trains a subset of a larger one, so conditions that differ in the fraction are paired.
    """
    unit = units(pair, split)
    names, sizes = np.unique(unit, return_counts=True)
    generator = np.random.default_rng(stream_seed(seed, "split"))
    # One order of all units, of which each size takes its first: this makes smaller fractions subsets.
    order = generator.permutation(len(names))
    chosen, wanted = [], drawn_units(sizes, split)
    for size in sorted(set(sizes.tolist())):
        candidates = order[sizes[order] == size]
        chosen.append(names[candidates[: wanted[size]]])
    return np.isin(unit, np.concatenate(chosen))


def draw_labels(
    pair: IntArray, target: IntArray, is_training: NDArray[np.bool_], n_classes: int, split: Split, seed: int
) -> IntArray:
    """Draw the labels, (example). Some training examples get a random class, and validation keeps the true targets.

    The random class may be the right one, so with a label noise of 1 labels and inputs are independent. The setting
    `label_noise_by` says what draws a class:
        `example`: a fraction `label_noise` of the training examples. Mirror images have different classes.
        `pair`: the same fraction of the unordered pairs that train. Mirror images have the same class.
        `latin_square`: all training examples together. Their classes are cells of one random commutative Latin square.
    """
    generator = np.random.default_rng(stream_seed(seed, "labels"))
    if split.label_noise_by == "latin_square":
        # As many symbols as classes, so this takes a number of a pair apart again: see `table.unordered_pair`.
        square = draw_latin_square(n_classes, generator)
        return np.where(is_training, square[np.divmod(pair, n_classes)], target)
    unit = np.arange(len(target)) if split.label_noise_by == "example" else np.unique(pair, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    # Order and classes are drawn for all units, whichever train. More noise therefore adds to less, and an example
    # gets the same random class at every training size.
    order = generator.permutation(n_units)
    noise = generator.integers(n_classes, size=n_units, dtype=np.int32)
    candidates = order[np.isin(order, unit[is_training])]
    replaced = candidates[: _rounded(split.label_noise * len(candidates))]
    return np.where(is_training & np.isin(unit, replaced), noise[unit], target)


def draw(pair: IntArray, target: IntArray, n_classes: int, split: Split, replica: int) -> pd.DataFrame:
    """Draw one replica's split: a row per example with its side, `split`, its `target` and its `label`."""
    split_seed = replica if split.split_seed == "replica" else split.split_seed
    label_seed = replica if split.label_seed == "replica" else split.label_seed
    trains = draw_training(pair, split, split_seed)
    side = np.where(trains, "train", "validation")
    labels = draw_labels(pair, target, trains, n_classes, split, label_seed)
    return pd.DataFrame({"example": range(len(pair)), "split": side, "target": target, "label": labels})


def _rounded(count: float) -> int:
    """Return the nearest whole number, with halves rounded up. Python's `round` would take them to the even one."""
    return math.floor(count + 0.5)
