"""Order in which a network learns its examples: bands, patches and latecomers, for claims and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.analysis.estimates import Array
from general_circuits.analysis.preconditions import MEMORISED

NULLS = 100
"""Largest number of units u by which bands are relabelled for the null."""
MIDWAY = (0.2, 0.8)
"""Validation accuracies between which a network counts as mid-way."""
SOME = 0.2
"""Validation accuracy above which validation examples are learnt in some order."""


@dataclass(frozen=True)
class Record:
    """Answers of one replica at every checkpoint.

    Attributes:
        examples: columns `a`, `b`, `split`, `target` and `wrap`, by example. `wrap` is the number of times that the
            modulus fits into the value before reduction.
        right: whether each example (row) is right at each step (column).
    """

    examples: pd.DataFrame
    right: pd.DataFrame

    @classmethod
    def of(cls, answers: pd.DataFrame, split: pd.DataFrame) -> Record:
        """Build a record from one replica's rows of the tables `answers` and `split`."""
        margins = answers.pivot(index="example", columns="step", values="margin")
        return cls(split.set_index("example").sort_index(), margins.sort_index() > 0)

    def on(self, side: str) -> NDArray[np.bool_]:
        """Tell for each example whether it is on this side of the split."""
        return (self.examples["split"] == side).to_numpy()

    def accuracy(self, side: str) -> pd.Series:
        """Return the share of right answers on this side of the split, by step."""
        return self.right[self.on(side)].mean()

    @property
    def has_memorised(self) -> bool:
        """True where the last checkpoint is right on at least 99 % of the training examples."""
        return bool(self.accuracy("train").iloc[-1] >= MEMORISED)

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Mask of the validation examples without an operand 0, whose product is always 0, (example)."""
        return self.on("validation") & (self.examples[["a", "b"]].min(axis=1) != 0).to_numpy(bool)

    @property
    def asked_accuracy(self) -> float:
        """Largest share of the examples in `asked` that a checkpoint is right on."""
        return float(self.right[self.asked].mean().max())

    @property
    def is_ordered(self) -> bool:
        """True where some checkpoint is right on over 20 % of the examples in `asked`, so that these have an order."""
        return self.asked_accuracy > SOME

    @property
    def learnt(self) -> Array:
        """First step from which an example stays right to the end, (example); infinite if there is none."""
        right = self.right.to_numpy()  # (example, step)
        # Accumulated from the last step back: true where the example is right at this step and at every later one.
        for_good = np.logical_and.accumulate(right[:, ::-1], axis=1)[:, ::-1]
        steps = np.append(self.right.columns.to_numpy(float), np.inf)  # index −1 is "never"
        return steps[np.where(for_good.any(axis=1), for_good.argmax(axis=1), -1)]

    @property
    def midway(self) -> int | None:
        """Step whose validation accuracy is nearest to 0.5; None if that accuracy lies outside `MIDWAY`."""
        accuracy = self.accuracy("validation")
        if accuracy.empty:
            return None
        step = (accuracy - 0.5).abs().idxmin()
        return int(step) if MIDWAY[0] <= accuracy[step] <= MIDWAY[1] else None

    @property
    def bands(self) -> Array | None:
        """Band of each example: how often the modulus fits into its value before reduction, (example).

        None where the task has no operands or no value before reduction.
        """
        if self.examples[["a", "b", "wrap"]].isna().any(axis=None):
            return None
        return self.examples["wrap"].to_numpy(float)


def records(answers: pd.DataFrame, split: pd.DataFrame, condition: str) -> Iterator[Record]:
    """Yield the record of each replica of a condition, by replica number."""
    of_split = dict(iter(split[split["condition"] == condition].groupby("replica")))
    for replica, rows in answers[answers["condition"] == condition].groupby("replica"):
        yield Record.of(rows, of_split[replica])


def band_order(record: Record) -> float:
    """Return how much later examples of higher bands are learnt, beyond a null.

    It is Spearman's ρ of band and learning step over validation examples, minus the null. The null is the mean ρ where
    the bands are those of (ua, ub), for other units u. A network whose tokens are exchangeable cannot tell such a
    relabelled task from the original one. NaN where there are no bands, or where all examples were learnt at the same
    step.
    """
    bands = record.bands
    if bands is None:
        return math.nan
    a, b = (record.examples[name].to_numpy(int) for name in ("a", "b"))
    p = int(max(a.max(), b.max())) + 1
    grid = np.full((p, p), np.nan)  # (a, b) → band, of all examples, since u·a and u·b may lie in training
    grid[a, b] = bands
    compared = record.asked
    a, b = a[compared], b[compared]
    late = pd.Series(record.learnt[compared]).rank().to_numpy()
    if np.ptp(late) == 0:
        return math.nan
    units = [u for u in range(2, p) if math.gcd(u, p) == 1]
    # Units are chosen evenly, so that the null is the same in every run.
    chosen = [units[i] for i in np.linspace(0, len(units) - 1, min(len(units), NULLS)).round().astype(int)]
    of_bands, *nulls = (_rank_correlation(grid[u * a % p, u * b % p], late) for u in [1, *chosen])
    return of_bands - float(np.nanmean(nulls)) if nulls else math.nan


def _rank_correlation(values: Array, ranks: Array) -> float:
    return float(np.corrcoef(pd.Series(values).rank(), ranks)[0, 1]) if np.ptp(values) else math.nan


@dataclass(frozen=True)
class Patches:
    """Variance of accuracy between groups of validation examples, over its expected value under chance.

    It is 1 on average where a random choice of examples is right.

    Attributes:
        operands: for groups that share an operand.
        answers: for groups that share an answer.
    """

    operands: float
    answers: float

    @property
    def mean(self) -> float:
        return (self.operands + self.answers) / 2


def patches(record: Record) -> Patches:
    """Measure how patchy the right answers are at the mid-way step, over validation examples.

    The unit that is right or wrong is a pair of mirror images, (a, b) with (b, a), so that none counts twice. Under the
    null a random choice of as many units is right; the variance of that is known in closed form. NaN where there is
    no such step.
    """
    step = record.midway
    if step is None or record.examples[["a", "b"]].isna().any(axis=None):
        return Patches(math.nan, math.nan)
    examples = record.examples[record.asked].assign(right=record.right[step].astype(float))
    low, high = examples[["a", "b"]].min(axis=1), examples[["a", "b"]].max(axis=1)
    pairs = examples.groupby([low.rename("low"), high.rename("high")]).agg(
        right=("right", "mean"), target=("target", "first")
    )
    pairs = pairs.reset_index()
    # A pair belongs to the groups of both its operands, but (a, a) to one group only.
    off_diagonal = pairs[pairs["low"] != pairs["high"]]
    by_operand = pd.concat([pairs.set_index("low")["right"], off_diagonal.set_index("high")["right"]])
    return Patches(
        dispersion(by_operand, pairs["right"]), dispersion(pairs.set_index("target")["right"], pairs["right"])
    )


def dispersion(members: pd.Series, units: pd.Series) -> float:
    """Return squared deviations of the groups' sums from their expected values, over the expected squares.

    The null draws each group at random, without replacement, from the units. The ratio has mean 1 under it.

    Args:
        members: a value for each member of each group; its index is the group.
        units: the same values, each unit once.

    Returns:
        NaN where all units have the same value.
    """
    total, variance = len(units), float(units.var(ddof=1))
    groups = members.groupby(level=0).agg(["sum", "size"])
    # The sum of n of N units, drawn without replacement, has variance n (1 − n / N) s².
    deviation = float(((groups["sum"] - groups["size"] * units.mean()) ** 2).sum())
    expected = float((groups["size"] * (1 - groups["size"] / total)).sum()) * variance
    return deviation / expected if expected > 0 else math.nan


def neighbours(record: Record) -> pd.DataFrame:
    """Count the training neighbours of each example: one row per example; no columns where there are no operands.

    An example and its mirror image are no neighbours of it.

    Columns:
        operands: training examples that share an operand with it.
        answer: training examples with the same right answer.
        diagonal: whether both of its operands are equal.
    """
    examples = record.examples
    if examples[["a", "b"]].isna().any(axis=None):
        return pd.DataFrame(index=examples.index)
    trains = record.on("train")
    a, b, target = (examples[name].to_numpy(int) for name in ("a", "b", "target"))
    p = int(max(a.max(), b.max())) + 1
    is_off = a != b
    # (a, b) → 1 where the example trains, and its right answer.
    trained, answer = np.zeros((p, p), dtype=int), np.full((p, p), -1)
    trained[a[trains], b[trains]] = 1
    answer[a, b] = target
    image = np.where(is_off, trained[b, a], 0)  # 1 where the mirror image trains, (example)
    # Training examples by symbol: those that have it as an operand, once if they have it twice.
    having = np.bincount(a[trains], minlength=p) + np.bincount(b[trains & is_off], minlength=p)
    excluded = trained[a, b] + image
    # Only the example and its mirror image have both operands, so each was counted twice.
    operands = np.where(is_off, having[a] + having[b] - 2 * excluded, having[a] - excluded)
    alike = np.bincount(target[trains], minlength=target.max() + 1)[target]
    alike = alike - trained[a, b] - np.where(answer[b, a] == target, image, 0)
    return pd.DataFrame({"operands": operands, "answer": alike, "diagonal": ~is_off}, index=examples.index)


def lateness(record: Record, side: str) -> dict[str, float]:
    """Return, for each column of `neighbours`, its rank correlation with the learning step over one side's examples.

    Empty where all of these examples are learnt at the same step.
    """
    is_on_side = record.on(side)
    late = pd.Series(record.learnt[is_on_side]).rank().to_numpy()
    placed = neighbours(record)[is_on_side]
    if np.ptp(late) == 0:
        return {}
    return {str(name): _rank_correlation(placed[name].to_numpy(float), late) for name in placed}
