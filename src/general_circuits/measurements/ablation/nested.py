"""The curve of one order in one pass, where the logits are linear in the place.

Each further neuron takes away what it wrote: a matrix of rank 1. Several that are not told apart take away the product
of two. Taking away leaves rounding behind, which is nothing beside what the rest of the network says, and everything
where it says nothing. So the first half of the order goes down from the whole network, and the second half up from the
network without any of them, adding neurons back from the end.
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
"""Examples whose logits stay in a processor's cache from one deletion to the next."""
NOTHING = -80.0
"""A logit this far below the largest adds nothing to their exponentials' sum, and much lower ones take ten times as
long: their exponentials are not normal numbers."""


class Nested:
    """Curves of one linear place on some examples.

    Args:
        layer: where, and on which examples.
        values: what deleted units are set to, (position, unit) or (example, position, unit).
        scale: the checkpoint's logit scale.
    """

    def __init__(self, layer: Layer, values: Tensor, scale: float) -> None:
        starts = range(0, max(len(layer.labels), 1), EXAMPLES_PER_SLICE)
        slices = [slice(start, start + EXAMPLES_PER_SLICE) for start in starts]
        of_examples = values.ndim > layer.units[0].ndim
        self.parts = [_Part(layer.some(some), values[some] if of_examples else values, scale) for some in slices]

    @torch.no_grad()
    def curve(self, order: NDArray[np.int64], kept: NDArray[np.int64], is_whole: bool = False) -> Answers:
        """Delete the first k of `order` (ranked), for every k that an area needs and those `kept`, or every k there is.

        Losses are worked out for those kept.
        """
        last = len(order) if is_whole else min(last_of_area(len(order)), len(order))
        ks = np.union1d(kept, np.arange(last + 1))
        found = [part.curve(order, ks, set(kept.tolist())) for part in self.parts]
        margins, losses, matched_losses = (torch.cat(of, dim=1) for of in zip(*found, strict=True))
        return Answers(ks, margins, np.unique(kept), losses, matched_losses)


class _Part:
    """The same on few examples."""

    @torch.no_grad()
    def __init__(self, layer: Layer, values: Tensor, scale: float) -> None:
        self.layer, self.values, self.scale = layer, values, scale
        self.weights = layer.weights  # (unit, class)
        self.written = (layer.units[:, 0] - values[..., 0, :]).T.contiguous()  # (unit, example)
        self.examples = torch.arange(len(layer.labels), device=layer.labels.device)
        to_right = self.written * layer.weights[:, layer.labels]  # (unit, example)
        self.by_unit = list(zip(self.weights, self.written, to_right, strict=True))
        self._known: dict[bytes, Tensor] = {}

    def curve(
        self, order: NDArray[np.int64], ks: NDArray[np.int64], kept: Collection[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Margins at every one of `ks` (k, example), and losses and those at matched scale at those `kept`."""
        rows = {k: row for row, k in enumerate(ks.tolist())}
        margins = self.layer.logits.new_empty(len(ks), len(self.layer.labels))  # (k, example)
        largest = torch.empty_like(margins[0])
        losses, matched_losses = {}, {}
        for k, right, others in self._walk(order, ks):
            torch.amax(others, dim=0, out=largest)
            torch.sub(right, largest, out=margins[rows[k]])
            if k in kept:
                shifted, lead = others - largest, largest - right
                losses[k] = _surprise(lead, shifted)
                matched_losses[k] = _surprise(lead / self.scale, shifted / self.scale)
        raw, matched = (torch.stack([of[k] for k in sorted(of)]) for of in (losses, matched_losses))
        return margins, raw, matched

    def _walk(self, order: NDArray[np.int64], ks: NDArray[np.int64]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Each k once, with the labels' logits (example) and all others' (class, example); read before the next."""
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
        """Add what these neurons write to the labels' logits and all others', or take it away."""
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
        """Copies of the labels' logits (example) and of all (class, example), −∞ at the labels.

        Classes are in rows: what a neuron wrote to one is taken from a whole row then, which is quicker.
        """
        labels = self.layer.labels
        others = logits.T.clone(memory_format=torch.contiguous_format)
        others[labels, self.examples] = float("-inf")
        return predictions.right_logit(logits, labels), others

    def _without(self, neurons: NDArray[np.int64]) -> Tensor:
        """Logits (example, class) with all of these deleted, by running the network; once for all their orders."""
        chosen = np.sort(neurons)
        key = chosen.tobytes()
        if key not in self._known:
            units = self.layer.without(torch.as_tensor(chosen, device=self.values.device), self.values)
            self._known[key] = self.layer.answer(units)
        return self._known[key]


def _surprise(lead: Tensor, shifted: Tensor) -> Tensor:
    """Cross-entropy in nats, (example).

    Args:
        lead: the largest other logit minus the label's, (example).
        shifted: all others (class, example) minus the largest, −∞ at the labels.
    """
    others = shifted.clamp_min(NOTHING).exp().sum(dim=0)
    return torch.logaddexp(lead + others.log(), torch.zeros_like(lead))
