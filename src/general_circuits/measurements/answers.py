"""One checkpoint's answers to every example, and its gradient split by how sure the network is of the examples."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.models.network import Network
from general_circuits.models.settings import EXAMPLES_PER_PASS
from general_circuits.tasks.examples import Examples

DECILES = 10
"""Parts that training examples are split into, by the probability of their labels."""


def answers(model: Network, splits: Mapping[str, Examples]) -> pd.DataFrame:
    """Return the network's answer to every example, one row each.

    Args:
        model: the network.
        splits: the examples, with their numbers in the task table.

    Returns:
        `example`, the number; `margin`, the label's logit less the largest other logit; `probability`, the label's.
    """
    frames = []
    for part in splits.values():
        assert part.numbers is not None
        logits = model.answer_all(part.tokens).double()
        columns = {
            "example": part.numbers,
            "margin": predictions.margins(logits, part.labels),
            "probability": predictions.correct_probability(logits, part.labels),
        }
        frames.append(pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()}))
    return pd.concat(frames, ignore_index=True)


def deciles(model: Network, splits: Mapping[str, Examples], precision: torch.dtype) -> pd.DataFrame:
    """Split the gradient of mean training cross-entropy into ten parts, by how sure the network is of the examples.

    Args:
        model: the network.
        splits: examples under "train" and "validation".
        precision: the logits' type, in which the loss is taken.

    Returns:
        One row per tenth of the training examples, from the least sure one on, with the columns of the table `deciles`.
    """
    train = splits["train"]
    probability = predictions.correct_probability(model.answer_all(train.tokens).double(), train.labels)
    order = probability.argsort(stable=True)
    tenths = torch.tensor_split(order, DECILES)
    # The mean over all examples is the tenths' means, each weighted by its share of the examples: the parts add up.
    parts = [_gradient(model, train.some(tenth), precision) * (len(tenth) / len(train)) for tenth in tenths]
    total, validation = torch.stack(parts).sum(dim=0), _gradient(model, splits["validation"], precision)
    square = total @ total
    return pd.DataFrame(
        {
            "decile": range(1, DECILES + 1),
            "examples": [len(tenth) for tenth in tenths],
            "probability": [float(probability[tenth].mean()) for tenth in tenths],
            "gradient_norm": [float(part.norm()) for part in parts],
            "gradient_share": [float(part @ total / square) for part in parts],
            "validation_fall": [float(part @ validation) for part in parts],
        }
    )


def _gradient(model: Network, examples: Examples, precision: torch.dtype) -> Tensor:
    """Return the gradient of the examples' mean cross-entropy in all weights, (weight), float64."""
    weights = list(model.parameters())
    total = torch.zeros(sum(weight.numel() for weight in weights), dtype=torch.float64, device=weights[0].device)
    for tokens, labels in zip(
        examples.tokens.split(EXAMPLES_PER_PASS), examples.labels.split(EXAMPLES_PER_PASS), strict=True
    ):
        # Divided by the number of all examples, so that the passes add up to the mean.
        loss = predictions.surprise(model.answer(tokens).to(precision), labels).sum() / len(examples)
        gradients = torch.autograd.grad(loss, weights)
        total += torch.cat([gradient.double().flatten() for gradient in gradients])
    return total
