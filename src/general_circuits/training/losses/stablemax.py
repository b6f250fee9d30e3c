"""StableMax cross-entropy, which does not lose precision as the loss approaches zero."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.training.losses import by_autograd


def stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Return −log(s(right logit) / Σ s(logit)) of each example, in nats.

    It replaces exp in the softmax by s ("Grokking at the Edge of Numerical Stability", Prieto et al. 2025). For x ≥ 0,
    s(x) = x + 1; for x < 0, s(x) = 1 / (1 − x). Logits (…, example, class), labels (example) → (…, example).
    """
    # `where` computes both branches. At x = 1 the branch for negative x would be 1 / 0, and its gradient 0 · ∞ = NaN
    # would reach the logit although the branch is not taken. The clamp keeps this branch finite.
    s = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return -torch.log(predictions.right_logit(s, labels) / s.sum(dim=-1))


LOSS = by_autograd(stablemax)
