"""Addition modulo 13 and the two networks built by hand for it. Every measurement of them is known."""

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
    """Split all examples of addition modulo p at random into training and validation examples."""
    table = registry.generate(Modular(("x+y",), p))
    inputs = torch.tensor(table.inputs, dtype=torch.long)
    tokens = torch.cat([inputs, torch.full((len(inputs), 1), p)], dim=1)
    labels = torch.tensor(table.target, dtype=torch.long)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    parts = {"train": order[:n_train], "validation": order[n_train:]}
    return {name: Examples(tokens[rows], labels[rows], numbers=rows) for name, rows in parts.items()}


def transformer(p: int = P, **changes: object) -> Transformer:
    """Return a transformer that is large enough for both networks, with its weights still to be set."""
    settings = model_settings(**{"d_model": 44, "n_heads": 2, "d_mlp": N_TRAIN, "biases": "none", **changes})
    return Transformer(settings, Vocabulary(2, p, p))


def fourier() -> Transformer:
    """Build the general network: six frequencies of 15 neurons each, read by one head of two, and ten dead neurons."""
    return ground_truth.fourier(transformer())


def lookup_table(n_train: int = N_TRAIN, n_dead: int = 0) -> Transformer:
    """Build the shallow network: one neuron per training example, in the order of the examples, and `n_dead` more."""
    train = addition(n_train=n_train)["train"]
    return ground_truth.lookup_table(transformer(d_mlp=n_train + n_dead), train.tokens, train.labels)
