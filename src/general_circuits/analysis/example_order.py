"""Which examples a network gets right when, as claims and figures read it: bands, patches, latecomers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from general_circuits.analysis.estimates import Array

NULLS = 100
"""Units that bands are relabelled by, at most."""
MIDWAY = (0.2, 0.8)
"""Validation accuracies between which a network is mid-way."""


@dataclass(frozen=True)
class Record:
    """One replica's answers.

    Attributes:
        examples: `a`, `b`, `split`, `target`, `wrap` by example.
        right: whether each (row) is right at each step (column).
    """

    examples: pd.DataFrame
    right: pd.DataFrame

    @classmethod
    def of(cls, answers: pd.DataFrame, split: pd.DataFrame) -> Record:
        """From one replica's rows of the tables `answers` and `split`."""
        margins = answers.pivot(index="example", columns="step", values="margin")
        return cls(split.set_index("example").sort_index(), margins.sort_index() > 0)

    def on(self, side: str) -> NDArray[np.bool_]:
        """Which examples are on this side."""
        return (self.examples["split"] == side).to_numpy()

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Validation examples without a zero for an operand: what multiplies by it is nothing but zero."""
        return self.on("validation") & (self.examples[["a", "b"]].min(axis=1) != 0).to_numpy(bool)

    @property
    def learnt(self) -> Array:
        """The first step from which on an example is right at every later one, (example); infinite if it never is."""
        right = self.right.to_numpy()
        for_good = np.logical_and.accumulate(right[:, ::-1], axis=1)[:, ::-1]
        steps = np.append(self.right.columns.to_numpy(float), np.inf)
        return steps[np.where(for_good.any(axis=1), for_good.argmax(axis=1), -1)]

    @property
    def midway(self) -> int | None:
        """The step whose validation accuracy is nearest to a half, if it is not far from it."""
        accuracy = self.right[self.on("validation")].mean()
        if accuracy.empty:
            return None
        step = (accuracy - 0.5).abs().idxmin()
        return int(step) if MIDWAY[0] <= accuracy[step] <= MIDWAY[1] else None

    @property
    def bands(self) -> Array | None:
        """Of how many moduli the value before reduction is, (example); None where operands or that value are none."""
        if self.examples[["a", "b", "wrap"]].isna().any(axis=None):
            return None
        return self.examples["wrap"].to_numpy(float)


def records(answers: pd.DataFrame, split: pd.DataFrame, condition: str) -> Iterator[Record]:
    """Each replica's of a condition, in order."""
    of_split = dict(iter(split[split["condition"] == condition].groupby("replica")))
    for replica, rows in answers[answers["condition"] == condition].groupby("replica"):
        yield Record.of(rows, of_split[replica])


def band_order(record: Record) -> float:
    """How late an example is learnt, by its band: the rank correlation over validation examples, less its null.

    The null is the mean of the same where bands are those of (ua, ub), for other units u: relabelled so, a task is the
    same to a network to which symbols are exchangeable. Missing where there are no bands, or no example was ever
    learnt.
    """
    bands = record.bands
    if bands is None:
        return math.nan
    a, b = (record.examples[name].to_numpy(int) for name in ("a", "b"))
    p = int(max(a.max(), b.max())) + 1
    grid = np.full((p, p), np.nan)
    grid[a, b] = bands
    asked = record.asked
    a, b = a[asked], b[asked]
    late = pd.Series(record.learnt[asked]).rank().to_numpy()
    if np.ptp(late) == 0:
        return math.nan
    units = [u for u in range(2, p) if math.gcd(u, p) == 1]
    chosen = [units[i] for i in np.linspace(0, len(units) - 1, min(len(units), NULLS)).round().astype(int)]
    own, *others = (_rank_correlation(grid[u * a % p, u * b % p], late) for u in [1, *chosen])
    return own - float(np.nanmean(others)) if others else math.nan


def _rank_correlation(values: Array, ranks: Array) -> float:
    return float(np.corrcoef(pd.Series(values).rank(), ranks)[0, 1]) if np.ptp(values) else math.nan


@dataclass(frozen=True)
class Patches:
    """Variance between groups of validation examples, over what chance has: 1 where right ones are anywhere alike."""

    operands: float
    answers: float

    @property
    def mean(self) -> float:
        return (self.operands + self.answers) / 2


def patches(record: Record) -> Patches:
    """Mid-way: groups are examples that share an operand, or an answer.

    What is right or wrong is a pair of mirror images, and the null that which of them are is a random choice, whose
    variance is known: no binomial counts them twice.
    """
    step = record.midway
    if step is None or record.examples[["a", "b"]].isna().any(axis=None):
        return Patches(math.nan, math.nan)
    asked = record.examples[record.asked].assign(right=record.right[step].astype(float))
    first, second = asked[["a", "b"]].min(axis=1), asked[["a", "b"]].max(axis=1)
    pairs = asked.groupby([first.rename("low"), second.rename("high")]).agg(
        right=("right", "mean"), target=("target", "first")
    )
    pairs = pairs.reset_index()
    off_diagonal = pairs[pairs["low"] != pairs["high"]]
    by_operand = pd.concat([pairs.set_index("low")["right"], off_diagonal.set_index("high")["right"]])
    return Patches(
        dispersion(by_operand, pairs["right"]), dispersion(pairs.set_index("target")["right"], pairs["right"])
    )


def dispersion(members: pd.Series, units: pd.Series) -> float:
    """Squared deviations of groups' sums from what is expected, over the variance of randomly chosen groups.

    Args:
        members: a value for each member, by group.
        units: the same values, each unit once.
    """
    total, variance = len(units), float(units.var(ddof=1))
    groups = members.groupby(level=0).agg(["sum", "size"])
    deviation = float(((groups["sum"] - groups["size"] * units.mean()) ** 2).sum())
    expected = float((groups["size"] * (1 - groups["size"] / total)).sum()) * variance
    return deviation / expected if expected > 0 else math.nan


def neighbours(record: Record) -> pd.DataFrame:
    """How each example is placed among those that train, a row each; without columns where operands are none.

    `operands`: training examples that share an operand with it; `answer`: that have its right answer; `diagonal`:
    whether both operands are equal. An example is none of its own neighbours, nor is its mirror image.
    """
    examples = record.examples
    if examples[["a", "b"]].isna().any(axis=None):
        return pd.DataFrame(index=examples.index)
    trains = record.on("train")
    a, b, target = (examples[name].to_numpy(int) for name in ("a", "b", "target"))
    p = int(max(a.max(), b.max())) + 1
    is_off = a != b
    trained, answer = np.zeros((p, p), dtype=int), np.full((p, p), -1)
    trained[a[trains], b[trains]] = 1
    answer[a, b] = target
    image = np.where(is_off, trained[b, a], 0)
    having = np.bincount(a[trains], minlength=p) + np.bincount(b[trains & is_off], minlength=p)
    own = trained[a, b] + image
    # What has both operands was counted with each, and is the example itself or its mirror image.
    operands = np.where(is_off, having[a] + having[b] - 2 * own, having[a] - own)
    alike = np.bincount(target[trains], minlength=target.max() + 1)[target]
    alike = alike - trained[a, b] - np.where(answer[b, a] == target, image, 0)
    return pd.DataFrame({"operands": operands, "answer": alike, "diagonal": ~is_off}, index=examples.index)


def lateness(record: Record, side: str) -> dict[str, float]:
    """Rank correlation, over the examples of a side, of when they are learnt with how they are placed, by what."""
    asked = record.on(side)
    late = pd.Series(record.learnt[asked]).rank().to_numpy()
    placed = neighbours(record)[asked]
    if np.ptp(late) == 0:
        return {}
    return {str(name): _rank_correlation(placed[name].to_numpy(float), late) for name in placed}
