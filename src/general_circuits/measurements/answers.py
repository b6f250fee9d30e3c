"""One checkpoint's answers, example by example, and its gradient, by how sure of examples it is."""

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


def answers(model: Network, splits: Mapping[str, Examples]) -> pd.DataFrame:
    """What the network makes of every example, one row each.

    Args:
        model: the network.
        splits: the examples, which know their numbers in the task table.

    Returns:
        `example`, its number; `margin`, its label's logit less the largest other one; `probability`, its label's.
    """
    frames = []
    for part in splits.values():
        assert part.numbers is not None
        logits = model.answer_all(part.tokens).double()
        found = {
            "example": part.numbers,
            "margin": predictions.margins(logits, part.labels),
            "probability": predictions.correct_probability(logits, part.labels),
        }
        frames.append(pd.DataFrame({name: of_each.cpu().numpy() for name, of_each in found.items()}))
    return pd.concat(frames, ignore_index=True)


def deciles(model: Network, splits: Mapping[str, Examples], precision: torch.dtype) -> pd.DataFrame:
    """The gradient of mean training cross-entropy in ten parts, from the examples it is least sure of.

    Args:
        model: the network.
        splits: examples under "train" and "validation".
        precision: of the logits that it is of.

    Returns:
        One row per tenth, columns as of the table `deciles`.
    """
    train = splits["train"]
    probability = predictions.correct_probability(model.answer_all(train.tokens).double(), train.labels)
    order = probability.argsort(stable=True)
    tenths = torch.tensor_split(order, DECILES)
    parts = [_gradient(model, train.some(tenth), precision) * (len(tenth) / len(train)) for tenth in tenths]
    whole, validation = torch.stack(parts).sum(dim=0), _gradient(model, splits["validation"], precision)
    square = whole @ whole
    return pd.DataFrame(
        {
            "decile": range(1, DECILES + 1),
            "examples": [len(tenth) for tenth in tenths],
            "probability": [float(probability[tenth].mean()) for tenth in tenths],
            "gradient_norm": [float(part.norm()) for part in parts],
            "gradient_share": [float(part @ whole / square) for part in parts],
            "validation_fall": [float(part @ validation) for part in parts],
        }
    )


def _gradient(model: Network, examples: Examples, precision: torch.dtype) -> Tensor:
    """Of their mean cross-entropy in all weights, flat."""
    weights = list(model.parameters())
    total = torch.zeros(sum(weight.numel() for weight in weights), dtype=torch.float64, device=weights[0].device)
    for tokens, labels in zip(
        examples.tokens.split(EXAMPLES_PER_PASS), examples.labels.split(EXAMPLES_PER_PASS), strict=True
    ):
        loss = predictions.surprise(model.answer(tokens).to(precision), labels).sum() / len(examples)
        gradients = torch.autograd.grad(loss, weights)
        total += torch.cat([gradient.double().flatten() for gradient in gradients])
    return total
