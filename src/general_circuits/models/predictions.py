"""How well logits answer: the numbers that training and ablation both report."""

from __future__ import annotations

import torch
from torch import Tensor


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats, over the example axis (the last but one) of logits (…, example, class)."""
    return surprise(logits, labels).mean(dim=-1)


def surprise(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each example in nats: logits (…, example, class), labels (example) → (…, example)."""
    return torch.logsumexp(logits, dim=-1) - right_logit(logits, labels)


def right_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of each example's label: logits (…, example, class), labels (example) → (…, example)."""
    index = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return logits.gather(-1, index).squeeze(-1)


def right_minus_mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Right logit minus mean logit: neither saturates with confidence nor moves when all logits shift together.

    (…, example).
    """
    return right_logit(logits, labels) - logits.mean(dim=-1)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Right logit minus the largest other one, (…, example). Positive exactly where the answer is right."""
    others = logits.scatter(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1), float("-inf"))
    return right_logit(logits, labels) - others.amax(dim=-1)


def rivals(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each example's best wrong class: logits (…, example, class), labels (…, example) → (…, example)."""
    return logits.scatter(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1), float("-inf")).argmax(dim=-1)


def margins_over(logits: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Return the right logit minus that of a given other class, (…, example): linear in the logits."""
    return right_logit(logits, labels) - right_logit(logits, others)


def correct_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Probability given to each example's label, (…, example)."""
    return torch.exp(right_logit(logits, labels) - torch.logsumexp(logits, dim=-1))


def logit_scale(logits: Tensor) -> float:
    """Root mean square, over examples and classes, of logits (example, class) minus each example's mean logit.

    1 where there is nothing but zeros, so that one can divide by it.
    """
    centred = logits.double() - logits.double().mean(dim=-1, keepdim=True)
    return float(centred.square().mean().sqrt()) or 1.0
