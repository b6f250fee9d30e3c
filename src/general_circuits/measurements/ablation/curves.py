"""A curve over k, and what it is worth in one number."""

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
    """Means over examples when so many neurons are deleted.

    Attributes:
        ks: ascending numbers of deleted neurons, from 0.
        accuracy, margin: at each of `ks`, (k).
        kept: those of `ks` that the `ablation` table has, and losses are known of.
        loss, matched_loss: at each of `kept`, (k).
        scale: the checkpoint's logit scale; margins divided by it are at matched scale.
        neurons: how many were ranked.
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
        """Means over these examples, a mask (example); None is all."""

        def mean(values: Tensor) -> Array:
            of_group = values if examples is None else values[:, examples]
            return of_group.double().mean(dim=1).cpu().numpy()

        accuracy, margin = mean(answers.margins > 0), mean(answers.margins)
        losses = mean(answers.losses), mean(answers.matched_losses)
        return cls(answers.ks, accuracy, margin, answers.kept, *losses, scale, neurons)

    def extended(self, ks: NDArray[np.int64]) -> Curve:
        """The same at more numbers of deleted neurons, where nothing was measured: NaN."""
        columns = {name: _spread(getattr(self, name), self.ks, ks) for name in ("accuracy", "margin")}
        losses = {name: _spread(getattr(self, name), self.kept, ks) for name in ("loss", "matched_loss")}
        return Curve(ks, **columns, kept=ks, **losses, scale=self.scale, neurons=self.neurons)

    def columns(self) -> dict[str, Array | NDArray[np.int64]]:
        """Of the `ablation` table, a row for each of `kept`."""
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
        """Of the `damage` table, one row."""
        margin_area = area(self.ks, self.margin, self.neurons)
        return {
            "neurons": self.neurons,
            "area": area(self.ks, self.accuracy, self.neurons),
            "margin_area": margin_area,
            "matched_margin_area": margin_area / self.scale,
            "half_k": half_k(self.ks, self.accuracy),
        }


def area(ks: NDArray[np.int64], left: Array, neurons: int) -> float:
    """Mean over every k from 1 to a quarter of the neurons (at least 1) of what is lost; linear between measured k.

    Args:
        ks: ascending numbers of deleted neurons, from 0 to at least that.
        left: at each of them; NaN where nothing could be deleted, which makes an area that needs it NaN.
        neurons: how many were ranked; NaN if none.
    """
    if neurons == 0:
        return float("nan")
    every = np.arange(1, last_of_area(neurons) + 1)
    return float(left[0] - np.interp(every, ks, left).mean())


def last_of_area(neurons: int) -> int:
    """The largest k that counts in an area, where so many neurons are ranked."""
    return max(1, int(SHARE * neurons))


def half_k(ks: NDArray[np.int64], accuracy: Array) -> float:
    """Where accuracy has fallen to half of the whole network's: a k, linear between measured ones; NaN if nowhere."""
    half = accuracy[0] / 2
    below = np.flatnonzero(accuracy <= half)
    if not half > 0 or len(below) == 0:
        return float("nan")
    last = below[0]
    above, under = accuracy[last - 1], accuracy[last]
    return float(ks[last - 1] + (above - half) / (above - under) * (ks[last] - ks[last - 1]))


def _spread(values: Array, at: NDArray[np.int64], ks: NDArray[np.int64]) -> Array:
    spread = np.full(len(ks), np.nan)
    spread[np.searchsorted(ks, at)] = values
    return spread
