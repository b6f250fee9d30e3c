"""Deletion curve of one order in one pass, where the logits are linear in the place.

The deleted sets of an order are nested: each set is the one before and further neurons. The logits are a constant plus
the sum over neurons of unit × weights. So the logits of one k follow from those of the k before by subtraction
("downdating"):
    one further neuron: a matrix of rank 1, unit (example) × weights (class);
    several further neurons: the matrix product of their units and their weights.

Subtraction is exact but for rounding. Rounding errors are of the size of the subtracted logits, times the machine
precision. They are negligible while large logits remain, but not once the remaining neurons write little or nothing.
Therefore the first half of an order is subtracted from the unchanged network. The second half starts at the other end:
the network runs once with all neurons deleted, and neurons are added back from the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits.measurements.ablation.answers import Answers
from general_circuits.measurements.ablation.curves import last_of_area
from general_circuits.models import predictions
from general_circuits.models.layer import Layer

EXAMPLES_PER_SLICE = 4096
"""Number of examples whose logits stay in a processor's cache from one deletion to the next."""
NEGLIGIBLE = -80.0
"""Difference from the largest logit below which a logit does not count in a sum of exponentials.

The sum is at least 1, so e^−80 does not change it, even in double precision. Lower logits are raised to this one. Below
about −87 a float32 exponential is subnormal, and computing with it takes ten times as long.
"""


class Nested:
    """Deletion curves of one linear place on some examples.

    Args:
        layer: place and examples to delete on.
        values: new values of deleted units, (position, unit) or (example, position, unit).
        scale: the checkpoint's logit scale.
    """

    def __init__(self, layer: Layer, values: Tensor, scale: float) -> None:
        starts = range(0, max(len(layer.labels), 1), EXAMPLES_PER_SLICE)
        slices = [slice(start, start + EXAMPLES_PER_SLICE) for start in starts]
        differ_by_example = values.ndim > layer.units[0].ndim
        self.parts = [_Part(layer.some(rows), values[rows] if differ_by_example else values, scale) for rows in slices]

    @torch.no_grad()
    def curve(self, order: NDArray[np.int64], kept: NDArray[np.int64], at_every_k: bool = False) -> Answers:
        """Delete the first k neurons of `order` (ranked) and measure every k of `kept`, and every k that an area needs.

        Losses are computed for `kept` only. `at_every_k` measures margins at all k.
        """
        last = len(order) if at_every_k else min(last_of_area(len(order)), len(order))
        ks = np.union1d(kept, np.arange(last + 1))
        curves = [part.curve(order, ks, set(kept.tolist())) for part in self.parts]
        margins, losses, matched_losses = (torch.cat(parts, dim=1) for parts in zip(*curves, strict=True))
        return Answers(ks, margins, np.unique(kept), losses, matched_losses)


class _Part:
    """Deletion curves on one slice of the examples."""

    @torch.no_grad()
    def __init__(self, layer: Layer, values: Tensor, scale: float) -> None:
        self.layer, self.values, self.scale = layer, values, scale
        self.weights = layer.weights  # (unit, class)
        self.written = (layer.units[:, 0] - values[..., 0, :]).T.contiguous()  # (unit, example)
        self.examples = torch.arange(len(layer.labels), device=layer.labels.device)
        to_right = self.written * layer.weights[:, layer.labels]  # part of the label's logit, (unit, example)
        # Split into rows once, so that the loop over neurons does not index tensors.
        self.by_unit = list(zip(self.weights, self.written, to_right, strict=True))
        self._known: dict[bytes, Tensor] = {}

    def curve(
        self, order: NDArray[np.int64], ks: NDArray[np.int64], kept: Collection[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return margins at `ks` (k, example), and losses and matched losses at `kept` (kept, example)."""
        rows = {k: row for row, k in enumerate(ks.tolist())}
        margins = self.layer.logits.new_empty(len(ks), len(self.layer.labels))  # (k, example)
        largest = torch.empty_like(margins[0])
        losses, matched_losses = {}, {}
        for k, right, others in self._walk(order, ks):
            torch.amax(others, dim=0, out=largest)
            torch.sub(right, largest, out=margins[rows[k]])
            if k in kept:
                shifted, lead = others - largest, largest - right  # (class, example), (example)
                losses[k] = _surprise(lead, shifted)
                matched_losses[k] = _surprise(lead / self.scale, shifted / self.scale)
        raw, matched = (torch.stack([of[k] for k in sorted(of)]) for of in (losses, matched_losses))
        return margins, raw, matched

    def _walk(self, order: NDArray[np.int64], ks: NDArray[np.int64]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield each k once, with the labels' logits (example) and all other logits (class, example).

        Use each item before the next one: the same memory is overwritten. The k up to half of the order come first, in
        ascending order. The k above half follow in descending order.
        """
        half = len(order) // 2
        down, up = ks[ks <= half].tolist(), ks[ks > half].tolist()
        right, others = self._apart(self.layer.logits)
        for before, k in itertools.pairwise([0, *down]):
            self._write(right, others, order[before:k], -1)
            yield k, right, others
        if up:
            right, others = self._apart(self._without(order))
        for before, k in itertools.pairwise([len(order), *reversed(up)]):
            self._write(right, others, order[k:before], 1)
            yield k, right, others

    def _write(self, right: Tensor, others: Tensor, neurons: NDArray[np.int64], sign: int) -> None:
        """Add the part of these neurons to the logits (sign 1), or subtract it (sign −1)."""
        if len(neurons) == 1:
            weights, written, to_right = self.by_unit[neurons[0]]
            others.addr_(weights, written, alpha=sign)
            right.add_(to_right, alpha=sign)
        elif len(neurons):
            units = torch.as_tensor(neurons, device=right.device)
            together = self.weights[units].T @ self.written[units]  # (class, example)
            others.add_(together, alpha=sign)
            right.add_(together[self.layer.labels, self.examples], alpha=sign)

    def _apart(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Copy logits (example, class) as the labels' logits (example) and all others (class, example).

        The others are −∞ at the labels, and stay so: subtracting a finite number does not change −∞. So their maximum
        is the largest other logit. Classes are rows, so that a neuron's update runs along contiguous examples.
        """
        labels = self.layer.labels
        others = logits.T.clone(memory_format=torch.contiguous_format)
        others[labels, self.examples] = float("-inf")
        return predictions.right_logit(logits, labels), others

    def _without(self, neurons: NDArray[np.int64]) -> Tensor:
        """Return the logits (example, class) with all these neurons deleted, by running the network.

        Every order of the same neurons shares one run.
        """
        chosen = np.sort(neurons)
        key = chosen.tobytes()
        if key not in self._known:
            units = self.layer.without(torch.as_tensor(chosen, device=self.values.device), self.values)
            self._known[key] = self.layer.answer(units)
        return self._known[key]


def _surprise(lead: Tensor, shifted: Tensor) -> Tensor:
    """Return the cross-entropy in nats, (example).

    With r the label's logit and m the largest other logit, it is log(1 + e^(m − r) · Σ e^(other − m)).

    Args:
        lead: the largest other logit minus the label's logit, (example).
        shifted: all other logits minus the largest of them, (class, example), −∞ at the labels.
    """
    others = shifted.clamp_min(NEGLIGIBLE).exp().sum(dim=0)
    return torch.logaddexp(lead + others.log(), torch.zeros_like(lead))
