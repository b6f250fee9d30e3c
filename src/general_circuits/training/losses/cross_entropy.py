"""Cross-entropy, in nats."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.training.losses import Loss


def gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Return softmax minus one-hot: logits (example, class), labels (example) → (example, class)."""
    softmax = torch.softmax(logits, dim=1)
    return softmax.scatter_add_(1, labels.unsqueeze(1), softmax.new_full((len(labels), 1), -1.0))


LOSS = Loss(predictions.surprise, gradient)
