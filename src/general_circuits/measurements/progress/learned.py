"""General solution of a replica, read from a checkpoint: the last one, or a branch's first one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from general_circuits.measurements.progress import forces, solution
from general_circuits.measurements.progress.components import ExamplesByAnswer, General
from general_circuits.models.network import Network
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.settings import Condition


def general(
    condition: Condition,
    splits: dict[str, Examples],
    vocabulary: Vocabulary,
    networks: Iterable[tuple[int, Network]],
) -> General:
    """Return the functions of the right answer that a replica's general solution is made of.

    Args:
        condition: the replica's condition.
        splits: the replica's examples, under "train" and "validation".
        vocabulary: the task's numbers of inputs, symbols and classes.
        networks: step and network of the checkpoints. The first one with finite logits defines the solution. So they
            go backwards for the solution that a replica ends with, and forwards for the one that a branch begins with.
    """
    examples = ExamplesByAnswer.of(splits, _solution(condition, splits), vocabulary.n_classes)
    return General.of(examples, _finite_answers(networks, examples))


def _finite_answers(networks: Iterable[tuple[int, Network]], examples: ExamplesByAnswer) -> Tensor:
    """Return the logits of the first network whose logits are finite; of the last one if none are."""
    # Training may have diverged, and key frequencies cannot be found in NaN.
    for _, model in networks:
        logits = forces.answer(model, examples.tokens)
        if logits.isfinite().all():
            break
    return logits


def _solution(condition: Condition, splits: dict[str, Examples]) -> solution.Solution | None:
    """Return the group that the task's answers are in, or None."""
    inputs = torch.cat([part.tokens for part in splits.values()])[:, :-1].cpu().numpy()
    targets = torch.cat([part.targets for part in splits.values() if part.targets is not None]).cpu().numpy()
    return solution.find(condition.task, inputs, targets)
