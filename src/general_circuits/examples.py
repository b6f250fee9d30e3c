"""Split tables → the tensors that networks read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from general_circuits.conditions import Vocabulary

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Examples:
    """Some examples on a device.

    Attributes:
        tokens: (example, n_inputs + 1), the inputs and then "=".
        labels: (example), the classes they count as.
        is_corrupted: (example), whether that is a wrong one, after label noise; None where none is.
        numbers: (example), their numbers in the task table, where they are from one.
    """

    tokens: Tensor
    labels: Tensor
    is_corrupted: Tensor | None = None
    numbers: Tensor | None = None

    def first(self, n: int, order: Tensor) -> Examples:
        """The n examples that come first in `order`, a permutation; all of them if there are fewer."""
        kept = order[:n].to(self.labels.device)
        corrupted, numbers = (None if of is None else of[kept] for of in (self.is_corrupted, self.numbers))
        return Examples(self.tokens[kept], self.labels[kept], corrupted, numbers)


def by_split(split: pd.DataFrame, vocabulary: Vocabulary, device: torch.device) -> dict[str, Examples]:
    """One replica's examples under "train" and "validation".

    Args:
        split: one replica's rows of the `split` table.
        vocabulary: inputs are 0 to n_symbols − 1; the token n_symbols is "=".
        device: where they are put.
    """
    split = split.sort_values("example")
    has_operands = vocabulary.n_inputs == 2
    inputs = split[["a", "b"]].to_numpy() if has_operands else np.stack(split["inputs"].to_list())
    equals = torch.full((len(split), 1), vocabulary.n_symbols)
    tokens = torch.cat([torch.tensor(inputs, dtype=torch.long), equals], dim=1)
    labels, targets = (torch.tensor(split[name].to_numpy()).long() for name in ("label", "target"))
    is_corrupted = labels != targets
    numbers = torch.tensor(split["example"].to_numpy()).long()
    found = {}
    for name in SPLITS:
        rows = torch.tensor((split["split"] == name).to_numpy())
        corrupted = is_corrupted[rows].to(device) if is_corrupted[rows].any() else None
        found[name] = Examples(tokens[rows].to(device), labels[rows].to(device), corrupted, numbers[rows].to(device))
    return found
