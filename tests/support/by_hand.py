"""Addition modulo 13, and the two networks built by hand for it, on which every measurement is known."""

from __future__ import annotations

import torch
from builders import model_settings

from general_circuits.models import ground_truth
from general_circuits.models.transformer import Transformer
from general_circuits.tasks import registry
from general_circuits.tasks.examples import Examples
from general_circuits.tasks.modular import Modular
from general_circuits.tasks.vocabulary import Vocabulary

P, N_TRAIN = 13, 100


def addition(p: int = P, n_train: int = N_TRAIN) -> dict[str, Examples]:
    table = registry.generate(Modular(("x+y",), p))
    inputs = torch.tensor(table.inputs, dtype=torch.long)
    tokens = torch.cat([inputs, torch.full((len(inputs), 1), p)], dim=1)
    labels = torch.tensor(table.target, dtype=torch.long)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = {"train": order[:n_train], "validation": order[n_train:]}
    return {name: Examples(tokens[rows], labels[rows], numbers=rows) for name, rows in parts.items()}


def transformer(p: int = P, **changes: object) -> Transformer:
    settings = model_settings(**{"d_model": 44, "n_heads": 2, "d_mlp": N_TRAIN, "biases": "none", **changes})
    return Transformer(settings, Vocabulary(2, p, p))


def fourier() -> Transformer:
    """Six frequencies of 15 neurons each, which one head of two reads; ten neurons more are dead."""
    return ground_truth.fourier(transformer())


def lookup_table(n_train: int = N_TRAIN, n_dead: int = 0) -> Transformer:
    """A neuron for each training example, in their order, and some that are dead."""
    train = addition(n_train=n_train)["train"]
    return ground_truth.lookup_table(transformer(d_mlp=n_train + n_dead), train.tokens, train.labels)
