"""Examples of small tasks, and networks built by hand on them, for tests of progress measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from builders import model_settings
from torch import Tensor

from general_circuits.measurements.progress.components import ExamplesByAnswer
from general_circuits.measurements.progress.solution import find
from general_circuits.models.ground_truth import fourier, lookup_table
from general_circuits.models.transformer import Transformer
from general_circuits.tasks import groups
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.groups import GroupTask
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.vocabulary import Vocabulary

MODULUS = 13


def sums(modulus: int = MODULUS, by_pair: bool = True) -> dict[str, Examples]:
    """Return x + y, numbered and with right answers; about a third validates, as whole pairs by default."""
    a, b = (of.flatten() for of in torch.meshgrid(*[torch.arange(modulus)] * 2, indexing="ij"))
    tokens, targets = torch.stack([a, b, torch.full_like(a, modulus)], dim=1), (a + b) % modulus
    validates = (a - b).abs() % 3 == 1 if by_pair else (a + 2 * b) % 5 < 2
    numbers = torch.arange(len(a))
    return {
        name: Examples(tokens[rows], targets[rows], None, numbers[rows], targets[rows])
        for name, rows in (("train", ~validates), ("validation", validates))
    }


def permutations() -> tuple[dict[str, Examples], GroupTask]:
    """Return x·y in S3 and its task; every third example validates."""
    table = groups.generate(GroupTask("x*y", "S3"))
    tokens = torch.cat([torch.as_tensor(table.inputs).long(), torch.full((36, 1), 6)], dim=1)
    targets, numbers = torch.as_tensor(table.target).long(), torch.arange(36)
    validates = numbers % 3 == 0
    return {
        name: Examples(tokens[rows], targets[rows], None, numbers[rows], targets[rows])
        for name, rows in (("train", ~validates), ("validation", validates))
    }, GroupTask("x*y", "S3")


def examples_by_answer(splits: dict[str, Examples] | None = None, task: Any = None) -> ExamplesByAnswer:
    """Group a task's examples by answer; those of x + y by default."""
    splits = splits or sums()
    task = task or Modular(("x+y",), MODULUS)
    inputs = torch.cat([part.tokens for part in splits.values()])[:, :-1].numpy()
    targets = torch.cat([part.targets for part in splits.values() if part.targets is not None]).numpy()
    return ExamplesByAnswer.of(splits, find(task, inputs, targets), int(targets.max()) + 1)


def general_network(modulus: int = MODULUS, frequencies: int = 2) -> Transformer:
    """Return a network that adds by so many frequencies, in double precision."""
    return fourier(_empty(modulus, d_model=4 * frequencies, d_mlp=9 * frequencies))


def table_network(splits: dict[str, Examples], modulus: int = MODULUS) -> Transformer:
    """Return a network that knows its training examples and nothing else."""
    train = splits["train"]
    width = 4 * modulus + 4  # of what a table writes down
    return lookup_table(_empty(modulus, d_model=width - width % 2, d_mlp=len(train)), train.tokens, train.labels)


def _empty(modulus: int, d_model: int, d_mlp: int) -> Transformer:
    settings = model_settings(d_model=d_model, d_mlp=d_mlp, n_heads=2, biases="none")
    return Transformer(settings, Vocabulary(2, modulus, modulus)).to(torch.float64)


def random_logits(n: int, n_classes: int, seed: int = 0) -> Tensor:
    """Return standard normal logits, (example, class), in double precision."""
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, n_classes)))
