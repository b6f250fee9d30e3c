"""Helpers of the tests of deletion: places of tiny networks, and comparisons of answers."""

from __future__ import annotations

import numpy as np
import torch
from builders import lookup_table, random_examples, random_transformer

from general_circuits.measurements.ablation.answers import Answers
from general_circuits.models import predictions
from general_circuits.models.layer import Layer
from general_circuits.models.network import Network, Place, Site
from general_circuits.tasks.examples import Examples

DELETIONS = ("zero", "mean", "resample")
SCALE = 1.7
"""Logit scale that the tests pretend a checkpoint has."""


def a_place(model: Network, examples: Examples, index: int = 0, site: Site = "mlp") -> Layer:
    """Return one place of a network on these examples."""
    return Layer.at(model, examples.tokens, examples.labels, Place(index, site))


def a_layer(index: int = 0, dtype: torch.dtype = torch.float64, site: Site = "mlp", n: int = 20, **settings) -> Layer:
    """Return one place of a tiny random transformer on n random examples."""
    return a_place(random_transformer(dtype=dtype, **settings), random_examples(n=n), index, site)


def of_lookup_table() -> Layer:
    """Return the six units of a lookup table, which know one example each."""
    return a_place(*lookup_table())


def scored(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float, float]:
    """Return accuracy, loss and margin of logits (example, class)."""
    margins = predictions.margins(logits, labels)
    return (margins > 0).double().mean().item(), predictions.loss(logits, labels).item(), margins.mean().item()


def assert_alike(ours: Answers, theirs: Answers, tolerance: float) -> None:
    """Assert that both have the same k, and answers that agree to `tolerance` of the largest value (at least 1)."""
    np.testing.assert_array_equal(ours.ks, theirs.ks)
    np.testing.assert_array_equal(ours.kept, theirs.kept)
    for name in ("margins", "losses", "matched_losses"):
        expected = getattr(theirs, name)
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(getattr(ours, name), expected, rtol=0, atol=tolerance * scale, msg=name)
