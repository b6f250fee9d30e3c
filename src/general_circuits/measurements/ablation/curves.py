"""Curve of accuracy, margin and loss over the number k of deleted neurons, and its summaries in one number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.ablation.answers import Answers
from general_circuits.registered import SHARE

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Means over examples, by the number of deleted neurons.

    Attributes:
        ks: ascending numbers of deleted neurons, from 0.
        accuracy, margin: means at each of `ks`, (k).
        kept: the subset of `ks` that goes into the `ablation` table. Losses are known only there.
        loss, matched_loss: means at each of `kept`, (kept).
        scale: the checkpoint's logit scale. Margins divided by it are at matched scale.
        neurons: number of ranked neurons.
    """

    ks: NDArray[np.int64]
    accuracy: Array
    margin: Array
    kept: NDArray[np.int64]
    loss: Array
    matched_loss: Array
    scale: float
    neurons: int

    @classmethod
    def over(cls, answers: Answers, examples: Tensor | None, scale: float, neurons: int) -> Curve:
        """Average answers over the examples in a mask (example), or over all examples for None."""

        def mean(values: Tensor) -> Array:
            group = values if examples is None else values[:, examples]
            return group.double().mean(dim=1).cpu().numpy()

        accuracy, margin = mean(answers.margins > 0), mean(answers.margins)
        losses = mean(answers.losses), mean(answers.matched_losses)
        return cls(answers.ks, accuracy, margin, answers.kept, *losses, scale, neurons)

    def extended(self, ks: NDArray[np.int64]) -> Curve:
        """Return the same curve with rows for more k. The new rows are NaN, because nothing was measured there."""
        columns = {name: _spread(getattr(self, name), self.ks, ks) for name in ("accuracy", "margin")}
        losses = {name: _spread(getattr(self, name), self.kept, ks) for name in ("loss", "matched_loss")}
        return Curve(ks, **columns, kept=ks, **losses, scale=self.scale, neurons=self.neurons)

    def columns(self) -> dict[str, Array | NDArray[np.int64]]:
        """Return columns of the `ablation` table, with a row for each of `kept`."""
        at = np.isin(self.ks, self.kept)
        margin = self.margin[at]
        return {
            "k": self.kept,
            "accuracy": self.accuracy[at],
            "loss": self.loss,
            "margin": margin,
            "matched_loss": self.matched_loss,
            "matched_margin": margin / self.scale,
        }

    def summary(self) -> dict[str, float | int]:
        """Return one row of the `damage` table."""
        margin_area = area(self.ks, self.margin, self.neurons)
        return {
            "neurons": self.neurons,
            "area": area(self.ks, self.accuracy, self.neurons),
            "margin_area": margin_area,
            "matched_margin_area": margin_area / self.scale,
            "half_k": half_k(self.ks, self.accuracy),
        }


def area(ks: NDArray[np.int64], left: Array, neurons: int) -> float:
    """Return the mean loss of accuracy or margin over every k from 1 to a quarter of the neurons (at least 1).

    Values between measured k are interpolated linearly. The result is NaN if no neuron was ranked.

    Args:
        ks: ascending numbers of deleted neurons, from 0 to at least a quarter of the neurons.
        left: accuracy or margin at each of `ks`. It is NaN where no set could be deleted, and so is the area.
        neurons: number of ranked neurons.
    """
    if neurons == 0:
        return float("nan")
    every = np.arange(1, last_of_area(neurons) + 1)
    return float(left[0] - np.interp(every, ks, left).mean())


def last_of_area(neurons: int) -> int:
    """Return the largest k that counts in an area over this number of ranked neurons."""
    return max(1, int(SHARE * neurons))


def half_k(ks: NDArray[np.int64], accuracy: Array) -> float:
    """Return the k at which accuracy has fallen to half of its value at k = 0.

    It is interpolated linearly between measured k. It is NaN if accuracy never falls so far.
    """
    half = accuracy[0] / 2
    below = np.flatnonzero(accuracy <= half)
    if not half > 0 or len(below) == 0:
        return float("nan")
    last = below[0]
    above, under = accuracy[last - 1], accuracy[last]
    return float(ks[last - 1] + (above - half) / (above - under) * (ks[last] - ks[last - 1]))


def _spread(values: Array, at: NDArray[np.int64], ks: NDArray[np.int64]) -> Array:
    """Place values, measured at some of the ascending `ks`, in a row of NaN with one entry per k."""
    spread = np.full(len(ks), np.nan)
    spread[np.searchsorted(ks, at)] = values
    return spread
