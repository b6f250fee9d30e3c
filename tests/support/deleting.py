"""What the tests of deletion share: a place of a tiny random network, on examples."""

from __future__ import annotations

import torch
from builders import lookup_table, random_examples, random_transformer

from general_circuits.models import predictions
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place, Site
from general_circuits.tasks.examples import Examples

DELETIONS = ("zero", "mean", "resample")


def a_place(model: Network, examples: Examples, index: int = 0, site: Site = "mlp") -> Layer:
    return Layer.at(model, examples.tokens, examples.labels, Place(index, site))


def a_layer(index: int = 0, dtype: torch.dtype = torch.float64, site: Site = "mlp", n: int = 20, **settings) -> Layer:
    return a_place(random_transformer(dtype=dtype, **settings), random_examples(n=n), index, site)


def of_lookup_table() -> Layer:
    """Six units that know one example each."""
    return a_place(*lookup_table())


def scored(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
    """Accuracy, loss and margin of plain logits (example, class)."""
    margins = predictions.margins(logits, labels)
    return (margins > 0).double().mean().item(), predictions.loss(logits, labels).item(), margins.mean().item()
