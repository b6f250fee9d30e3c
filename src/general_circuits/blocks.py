"""A block opened: its task and split tables as the examples of each replica."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from general_circuits import tables
from general_circuits.examples import Examples, by_split
from general_circuits.schemas.split import TABLE as SPLIT
from general_circuits.schemas.task import TABLE as TASK


@dataclass(frozen=True)
class Block:
    """Where a block's tables are, and where its tensors go."""

    task: Path
    split: Path
    device: torch.device

    @property
    def n_symbols(self) -> int:
        """Input tokens; "=" is one more."""
        return int(tables.read_metadata(self.task)["n_symbols"])

    @property
    def n_classes(self) -> int:
        """Output classes."""
        return int(tables.read_metadata(self.task)["n_classes"])

    def replicas(self) -> Iterator[tuple[int, int, dict[str, Examples]]]:
        """Position in the block, seed, and examples under "train" and "validation", of each replica."""
        task = tables.read(self.task, TASK)
        for position, (replica, rows) in enumerate(tables.read(self.split, SPLIT).groupby("replica")):
            yield position, replica, by_split(task, rows, self.n_symbols, self.device)
