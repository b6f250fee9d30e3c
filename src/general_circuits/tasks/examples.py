"""Examples as the tensors that networks read, made from split tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits.seeds import stream_seed
from general_circuits.tasks.vocabulary import Vocabulary

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Examples:
    """Some examples on a device.

    Attributes:
        tokens: (example, n_inputs + 1), the inputs and then "=".
        labels: (example), the classes that training and measurements take for right.
        is_corrupted: (example), whether label noise made the label wrong; None if it made none wrong.
        numbers: (example), the examples' numbers in the task table; None if they are from no table.
        targets: (example), the right classes, whatever the labels say; None if they are from no table.
    """

    tokens: Tensor
    labels: Tensor
    is_corrupted: Tensor | None = None
    numbers: Tensor | None = None
    targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, rows: Tensor) -> Examples:
        """Return the examples at these places: their indices, or a mask."""
        known = (self.is_corrupted, self.numbers, self.targets)
        return Examples(self.tokens[rows], self.labels[rows], *(None if of is None else of[rows] for of in known))

    def drawn(self, n: int, replica: int) -> Tensor:
        """Draw n examples and return their places, ascending; all places if n is 0 or there are fewer examples.

        A replica always draws the same ones: at every checkpoint, and in every measurement.
        """
        generator = torch.Generator().manual_seed(stream_seed(replica, "ablation"))
        order = torch.randperm(len(self), generator=generator)
        return order[: n or len(self)].sort().values.to(self.labels.device)


def by_split(split: pd.DataFrame, vocabulary: Vocabulary, device: torch.device) -> dict[str, Examples]:
    """Return one replica's examples under "train" and "validation", in the task table's order.

    Args:
        split: one replica's rows of the `split` table.
        vocabulary: inputs are 0 to n_symbols − 1; the token n_symbols is "=".
        device: where the tensors are put.
    """
    split = split.sort_values("example")
    has_operands = vocabulary.n_inputs == 2
    inputs = split[["a", "b"]].to_numpy() if has_operands else np.stack(split["inputs"].to_list())
    equals = torch.full((len(split), 1), vocabulary.n_symbols)
    tokens = torch.cat([torch.tensor(inputs, dtype=torch.long), equals], dim=1)
    labels, targets = (torch.tensor(split[name].to_numpy()).long() for name in ("label", "target"))
    is_corrupted = labels != targets
    numbers = torch.tensor(split["example"].to_numpy()).long()
    parts = {}
    for name in SPLITS:
        rows = torch.tensor((split["split"] == name).to_numpy())
        corrupted = is_corrupted[rows].to(device) if is_corrupted[rows].any() else None
        known = (tokens[rows].to(device), labels[rows].to(device))
        parts[name] = Examples(*known, corrupted, numbers[rows].to(device), targets[rows].to(device))
    return parts


def is_mirrored(some: Tensor, others: Tensor) -> Tensor:
    """Return whether each example (a, b) has its mirror image (b, a) among `others`, (example).

    Args:
        some: the examples' tokens, (example, n_inputs + 1). Only examples of two inputs have a mirror image.
        others: tokens to look among, likewise.
    """
    if some.shape[1] != 3:
        return torch.zeros(len(some), dtype=torch.bool, device=some.device)
    # One number per ordered pair: first · n + second, of the mirrored example and of the others.
    n = int(torch.cat([some, others])[:, :2].max()) + 1
    return torch.isin(some[:, 1] * n + some[:, 0], others[:, 0] * n + others[:, 1])
