"""The whole curve of one order in one pass, where the logits are linear in the place.

Each further neuron takes away what it wrote: a matrix of rank 1. Taking away leaves rounding behind, which is nothing
beside what the rest of the network says, and everything where it says nothing. So the first half of the order goes down
from the whole network, and the second half up from the network without any of them, adding neurons back from the end.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from general_circuits import scores
from general_circuits.ablation.answers import Answers
from general_circuits.layer import Layer


class Nested:
    """Curves of one linear place on some examples.

    Args:
        layer: where, and on which examples.
        values: what deleted units are set to, (position, unit) or (example, position, unit).
        scale: the checkpoint's logit scale.
    """

    @torch.no_grad()
    def __init__(self, layer: Layer, values: Tensor, scale: float) -> None:
        self.layer, self.values, self.scale = layer, values, scale
        self.weights = layer.weights.unbind(0)  # by unit, (class)
        written = (layer.units[:, 0] - values[..., 0, :]).T.contiguous()
        self.written = written.unbind(0)  # by unit, (example)
        self.to_right = (written * layer.weights[:, layer.labels]).unbind(0)  # by unit, (example)
        self._known: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def curve(self, order: NDArray[np.int64], kept: NDArray[np.int64]) -> Answers:
        """Delete the first k of `order` (ranked), for every k from 0; losses are worked out for those `kept`."""
        margins = self.layer.logits.new_empty(len(order) + 1, len(self.layer.labels))  # (k, example)
        largest = torch.empty_like(margins[0])
        wanted, losses, matched_losses = set(kept.tolist()), {}, {}
        for k, right, others in self._walk(order):
            torch.amax(others, dim=0, out=largest)
            torch.sub(right, largest, out=margins[k])
            if k in wanted:
                shifted, lead = others - largest, largest - right
                losses[k] = _surprise(lead, shifted)
                matched_losses[k] = _surprise(lead / self.scale, shifted / self.scale)
        ks = sorted(losses)
        rows = (torch.stack([of[k] for k in ks]) for of in (losses, matched_losses))
        return Answers(np.arange(len(order) + 1), margins, np.asarray(ks), *rows)

    def _walk(self, order: NDArray[np.int64]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Each k once, with the labels' logits (example) and all others' (class, example); read before the next."""
        units, half = order.tolist(), len(order) // 2
        right, others = self._apart(self.layer.logits)
        yield 0, right, others
        for k, unit in enumerate(units[:half], start=1):
            others.addr_(self.weights[unit], self.written[unit], alpha=-1)
            yield k, right.sub_(self.to_right[unit]), others
        if units:
            right, others = self._apart(self._without(order))
            yield len(units), right, others
        for k in range(len(units) - 1, half, -1):
            others.addr_(self.weights[units[k]], self.written[units[k]])
            yield k, right.add_(self.to_right[units[k]]), others

    def _apart(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of the labels' logits (example) and of all (class, example), −∞ at the labels.

        Classes are in rows: what a neuron wrote to one is taken from a whole row then, which is quicker.
        """
        labels = self.layer.labels
        others = logits.T.clone(memory_format=torch.contiguous_format)
        others[labels, torch.arange(len(labels), device=labels.device)] = float("-inf")
        return scores.right_logit(logits, labels), others

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
    return torch.logaddexp(lead + shifted.exp().sum(dim=0).log(), torch.zeros_like(lead))
