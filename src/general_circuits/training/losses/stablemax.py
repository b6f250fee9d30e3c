"""StableMax cross-entropy, which does not lose precision as the loss approaches zero."""

from __future__ import annotations

import torch
from torch import Tensor

from general_circuits.models import predictions
from general_circuits.training.losses import by_autograd


def stablemax(logits: Tensor, labels: Tensor) -> Tensor:
    """Each example's −log(s(right logit) / Σ s(logit)), nats (Prieto et al. 2025).

    "Grokking at the Edge of Numerical Stability": softmax with s in the place of exp, s(x) = x + 1 from 0 upwards and
    1 / (1 − x) below. Logits (…, example, class), labels (example) → (…, example).
    """
    # The clamp keeps 1 / (1 − 1) out of the branch that is not taken, and its NaN gradient out of the other.
    s = torch.where(logits < 0, 1.0 / (1.0 - logits.clamp(max=0.0)), logits + 1.0)
    return -torch.log(predictions.right_logit(s, labels) / s.sum(dim=-1))


LOSS = by_autograd(stablemax)
