"""Numbers of training and validation examples of a task."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from general_circuits.tasks import registry, splits
from general_circuits.tasks.settings import Split, Task
from general_circuits.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class Counts:
    """Sizes of a task and of its split.

    Attributes:
        vocabulary: inputs, symbols and classes.
        n_training, n_validation: examples.
    """

    vocabulary: Vocabulary
    n_training: int
    n_validation: int

    @property
    def n_examples(self) -> int:
        """Examples of both splits."""
        return self.n_training + self.n_validation


@cache
def counts(task: Task, split: Split) -> Counts:
    """Return the sizes of a task and its split. The task is generated to count it, once for all conditions alike.

    Raises:
        splits.SplitError: where the split cannot be made.
    """
    table = registry.generate(task)
    n_training = splits.training_size(table.pair, split)
    return Counts(table.vocabulary, n_training, len(table) - n_training)
