"""Measures of how well logits answer: loss, margin, probability. Training, saliency and ablation all report these."""

from __future__ import annotations

import torch
from torch import Tensor


def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats: logits (…, example, class), labels (example) → (…)."""
    return surprise(logits, labels).mean(dim=-1)


def surprise(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each example's cross-entropy in nats: logits (…, example, class), labels (example) → (…, example)."""
    return torch.logsumexp(logits, dim=-1) - right_logit(logits, labels)


def right_logit(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of each example's label: logits (…, example, class), labels (example) → (…, example)."""
    index = labels.expand(logits.shape[:-1]).unsqueeze(-1)
    return logits.gather(-1, index).squeeze(-1)


def right_minus_mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the right logit minus the mean logit, (…, example).

    It does not saturate as the network grows confident. It does not change when all logits shift together.
    """
    return right_logit(logits, labels) - logits.mean(dim=-1)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the right logit minus the largest other logit, (…, example). It is positive only for a right answer."""
    others = logits.scatter(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1), float("-inf"))
    return right_logit(logits, labels) - others.amax(dim=-1)


def rivals(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each example's best wrong class: logits (…, example, class), labels (…, example) → (…, example)."""
    return logits.scatter(-1, labels.expand(logits.shape[:-1]).unsqueeze(-1), float("-inf")).argmax(dim=-1)


def margins_over(logits: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """Return the right logit minus the logit of a given other class, (…, example). It is linear in the logits."""
    return right_logit(logits, labels) - right_logit(logits, others)


def correct_probability(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the probability that the logits give to each example's label, (…, example)."""
    return torch.exp(right_logit(logits, labels) - torch.logsumexp(logits, dim=-1))


def logit_scale(logits: Tensor) -> float:
    """Return the root mean square of the logits (example, class), after each example's mean logit is subtracted.

    Logits divided by it are at matched scale. It is 1 where every centred logit is zero, so that it can divide.
    """
    centred = logits.double() - logits.double().mean(dim=-1, keepdim=True)
    return float(centred.square().mean().sqrt()) or 1.0
