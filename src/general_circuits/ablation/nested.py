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
        written = (layer.units[:, -1] - values[..., -1, :]).T.contiguous()
        self.written = written.unbind(0)  # by unit, (example)
        self.to_right = written * layer.weights[:, layer.labels]  # (unit, example)
        self._known: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def curve(self, order: NDArray[np.int64], kept: NDArray[np.int64]) -> Answers:
        """Delete the first k of `order` (ranked), for every k from 0; losses are worked out for those `kept`."""
        bare = self._without(order)
        margins = self._right_logits(order, bare)
        largest = torch.empty_like(margins)  # (k, example)
        wanted, sums, matched_sums = set(kept.tolist()), {}, {}
        for k, logits in self._other_logits(order, bare):
            torch.amax(logits, dim=0, out=largest[k])
            if k in wanted:
                sums[k] = torch.logsumexp(logits, dim=0)
                matched_sums[k] = torch.logsumexp(logits / self.scale, dim=0)
        ks = sorted(sums)
        right = margins[ks]
        margins -= largest
        losses = _surprise(right, torch.stack([sums[k] for k in ks]))
        matched_losses = _surprise(right / self.scale, torch.stack([matched_sums[k] for k in ks]))
        return Answers(np.arange(len(order) + 1), margins, np.asarray(ks), losses, matched_losses)

    def _right_logits(self, order: NDArray[np.int64], bare: Tensor) -> Tensor:
        """The labels' logits at every k, (k, example)."""
        n, half, labels = len(order), len(order) // 2, self.layer.labels
        steps = self.to_right[torch.as_tensor(order, device=labels.device)]  # (ranked, example)
        right = steps.new_empty(n + 1, len(labels))
        right[n] = scores.right_logit(bare, labels)
        right[0] = scores.right_logit(self.layer.logits, labels)
        right[1 : half + 1] = right[0] - steps[:half].cumsum(dim=0)
        right[half + 1 : n] = right[n] + steps[half + 1 :].flip(0).cumsum(dim=0).flip(0)
        return right

    def _other_logits(self, order: NDArray[np.int64], bare: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each k once, with the logits (class, example) of all but the labels; to be read before the next."""
        units, half = order.tolist(), len(order) // 2
        logits = self._masked(self.layer.logits)
        yield 0, logits
        for k, unit in enumerate(units[:half], start=1):
            yield k, logits.addr_(self.weights[unit], self.written[unit], alpha=-1)
        if units:
            logits = self._masked(bare)
            yield len(units), logits
        for k in range(len(units) - 1, half, -1):
            yield k, logits.addr_(self.weights[units[k]], self.written[units[k]])

    def _masked(self, logits: Tensor) -> Tensor:
        """A copy (class, example), −∞ at the labels. Classes in rows: taking away is along rows then, and quicker."""
        masked = logits.T.clone(memory_format=torch.contiguous_format)
        labels = self.layer.labels
        masked[labels, torch.arange(len(labels), device=labels.device)] = float("-inf")
        return masked

    def _without(self, neurons: NDArray[np.int64]) -> Tensor:
        """Logits (example, class) with all of these deleted, by running the network; once for all their orders."""
        chosen = np.sort(neurons)
        key = chosen.tobytes()
        if key not in self._known:
            units = self.layer.without(torch.as_tensor(chosen, device=self.values.device), self.values)
            self._known[key] = self.layer.answer(units)
        return self._known[key]


def _surprise(right: Tensor, others: Tensor) -> Tensor:
    """Cross-entropy in nats, from the label's logit and the logarithm of the others' summed exponentials."""
    return torch.logaddexp(others - right, torch.zeros_like(right))
