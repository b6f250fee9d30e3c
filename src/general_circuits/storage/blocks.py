"""A block opened: its split table as the examples of each replica."""

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
    """Where a block's table is, and where its tensors go."""

    split: Path
    device: torch.device

    @property
    def vocabulary(self) -> Vocabulary:
        """What its networks read and answer."""
        return Vocabulary(**tables.read_metadata(self.split)["vocabulary"])

    def replicas(self) -> Iterator[tuple[int, int, dict[str, Examples]]]:
        """Position in the block, seed, and examples under "train" and "validation", of each replica."""
        for position, (replica, rows) in enumerate(tables.read(self.split, SPLIT).groupby("replica")):
            yield position, replica, by_split(rows, self.vocabulary, self.device)
