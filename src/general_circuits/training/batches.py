"""Order in which training examples are shown."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from general_circuits.seeds import stream_seed


class Batches:
    """Draws batches of training examples without end, as index tensors (batch).

    Each epoch is a fresh permutation, cut into whole batches. Examples that fill no whole batch are left out of the
    epoch.

    Args:
        n_examples: number of training examples.
        batch_size: examples per batch, or "full" for all of them, always in the same order.
        seed: seed of the replica; the order is its stream "batches".
        device: device of the index tensors.

    Attributes:
        epoch_start: state of the generator before it drew this epoch's permutation.
        order: permutation of this epoch, (example).
        position: number of examples of this epoch that were shown.
    """

    def __init__(self, n_examples: int, batch_size: int | str, seed: int, device: torch.device) -> None:
        self.n_examples, self.device = n_examples, device
        self.is_full = batch_size == "full"
        self.size = n_examples if self.is_full else int(batch_size)
        if not 0 < self.size <= n_examples:
            raise ValueError(f"batch_size = {self.size}: should be from 1 to the {n_examples} training examples")
        self.generator = torch.Generator().manual_seed(stream_seed(seed, "batches"))
        self.epoch_start, self.order, self.position = self._draw()

    def next(self) -> Tensor:
        """Return the next batch, (batch)."""
        if self.position + self.size > self.n_examples:
            self.epoch_start, self.order, self.position = self._draw()
        start, self.position = self.position, self.position + self.size
        return self.order[start : self.position]

    def values(self) -> dict[str, int]:
        """Return the values that a training state holds beside `epoch_start`."""
        return {"position": self.position}

    def restore(self, epoch_start: Tensor, values: Mapping[str, int]) -> None:
        """Go to the epoch and the position of a training state."""
        # A state holds the generator and not the permutation, which the generator draws again, to the same numbers.
        self.generator.set_state(epoch_start)
        self.epoch_start, self.order, _ = self._draw()
        self.position = values["position"]

    def inherit(self, other: Batches) -> None:
        """Go on with another stream: in the middle of its epoch, or with a new epoch if the batches differ."""
        self.generator.set_state(other.generator.get_state())
        if (self.n_examples, self.size) == (other.n_examples, other.size):
            self.epoch_start, self.order, self.position = other.epoch_start, other.order, other.position
        else:
            self.epoch_start, self.order, self.position = self._draw()

    def _draw(self) -> tuple[Tensor, Tensor, int]:
        """Begin an epoch, and return the generator's state before it, its order and its first position."""
        before = self.generator.get_state()
        if self.is_full:  # draws nothing, so the generator stays at its seed
            return before, torch.arange(self.n_examples, device=self.device), 0
        return before, torch.randperm(self.n_examples, generator=self.generator).to(self.device), 0
