"""StableMax cross-entropy, which does not lose precision as the loss approaches zero.

It replaces exp in the softmax by s ("Grokking at the Edge of Numerical Stability", Prieto et al. 2025). For x ≥ 0,
s(x) = x + 1; for x < 0, s(x) = 1 / (1 − x).
"""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.training.losses import Loss


def stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Return −log(s(right logit) / Σ s(logit)) of each example, in nats.

    Logits (…, example, class), labels (example) → (…, example).
    """
    s = _s(logits)
    return -torch.log(predictions.right_logit(s, labels) / s.sum(dim=-1))


def gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Return s'/Σs, minus s'/s at the label: logits (example, class), labels (example) → (example, class)."""
    s = _s(logits)
    slope = torch.where(logits < 0, s.square(), 1.0)
    at_label = labels.unsqueeze(1)
    own = slope.gather(1, at_label) / s.gather(1, at_label)
    return (slope / s.sum(dim=1, keepdim=True)).scatter_add_(1, at_label, -own)


def _s(logits: Tensor) -> Tensor:
    # `where` computes both branches. At x = 1 the branch for negative x would be 1 / 0, and its gradient 0 · ∞ = NaN
    # would reach the logit although the branch is not taken. The clamp keeps this branch finite.
    return torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)


LOSS = Loss(stablemax, gradient)
