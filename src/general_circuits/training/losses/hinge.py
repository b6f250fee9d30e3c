"""Multi-class hinge loss."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.training.losses import by_autograd


def hinge(logits: Tensor, labels: Tensor) -> Tensor:
    """Return max(0, 1 − margin) of each example (Crammer and Singer 2001).

    The margin is the right logit minus the largest other one. Two logits ±f/2 therefore give the binary hinge
    max(0, 1 − f·y) of Merrill et al. 2023. Logits (…, example, class), labels (example) → (…, example).
    """
    return torch.relu(1.0 - predictions.margins(logits, labels))


LOSS = by_autograd(hinge)
