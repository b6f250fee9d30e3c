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


AXES = {"W_E": "-m", "W_pos": "-m", "W_Q": "hmd", "W_K": "hmd", "W_V": "hmd", "W_O": "hdm", "W_in": "mn", "W_out": "nm"}
AXES |= {"W_U": "m-"}
"""Axes of each weight: of the model's width (m), heads (h), their width (d), neurons (n), and others (-)."""


def both_networks(splits: dict[str, Examples], frequencies: int = 2) -> Transformer:
    """Return a network that has the circuits of `general_network` and `table_network` side by side.

    They share no coordinate, so the logits are the sum of both networks' logits.
    """
    circuits = [general_network(MODULUS, frequencies), table_network(splits)]
    width, n_neurons = (sum(getattr(one.settings, key) for one in circuits) for key in ("d_model", "d_mlp"))
    both, offsets = _empty(MODULUS, width, n_neurons, n_heads=4), {"m": 0, "h": 0, "n": 0}
    with torch.no_grad():
        for weight in both.parameters():
            weight.zero_()
        for one in circuits:
            for name, weight in one.named_parameters():
                axes, target = AXES[name.split(".")[-1]], both.get_parameter(name)
                # Heads differ in width. What is cut off is 0, since heads write few coordinates.
                part = weight[tuple(slice(target.shape[i] if axis == "d" else None) for i, axis in enumerate(axes))]
                assert part.count_nonzero() == weight.count_nonzero()
                starts = [offsets.get(axis, 0) for axis in axes]
                target[tuple(slice(s, s + n) for s, n in zip(starts, part.shape, strict=True))] += part
            offsets["m"] += one.settings.d_model
            offsets["h"] += one.settings.n_heads
            offsets["n"] += one.settings.d_mlp
    return both


def _empty(modulus: int, d_model: int, d_mlp: int, n_heads: int = 2) -> Transformer:
    settings = model_settings(d_model=d_model, d_mlp=d_mlp, n_heads=n_heads, biases="none")
    return Transformer(settings, Vocabulary(2, modulus, modulus)).to(torch.float64)


def random_logits(n: int, n_classes: int, seed: int = 0) -> Tensor:
    """Return standard normal logits, (example, class), in double precision."""
    return torch.as_tensor(np.random.default_rng(seed).normal(size=(n, n_classes)))
