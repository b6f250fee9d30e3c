"""A block's split table as the examples of each replica."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from general_circuits.storage import tables
from general_circuits.storage.schemas.split import TABLE as SPLIT
from general_circuits.tasks.examples import Examples, by_split
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Block:
    """One block.

    Attributes:
        split: path of the block's `split` table.
        device: the device that examples are put on.
    """

    split: Path
    device: torch.device

    @property
    def seeds(self) -> list[int]:
        """Seeds of the block's replicas, in order, as the table's metadata has them."""
        return list(tables.read_metadata(self.split)["replicas"])

    @property
    def vocabulary(self) -> Vocabulary:
        """Numbers of inputs, symbols and classes of the task, as the table's metadata has them."""
        return Vocabulary(**tables.read_metadata(self.split)["vocabulary"])

    def replicas(self) -> Iterator[tuple[int, int, dict[str, Examples]]]:
        """Yield each replica's position in the block, its seed, and its examples under "train" and "validation"."""
        for position, (replica, rows) in enumerate(tables.read(self.split, SPLIT).groupby("replica")):
            yield position, replica, by_split(rows, self.vocabulary, self.device)
