"""Mean squared error of the logits against a one-hot target."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import one_hot

from general_circuits.training.losses import by_autograd


def mean_squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over classes of (logit − target)², as torch's `MSELoss` computes it.

    The target is 1 for the label and 0 for every other class. Logits (…, example, class), labels (example) →
    (…, example).
    """
    return (logits - one_hot(labels, logits.shape[-1])).square().mean(dim=-1)


LOSS = by_autograd(mean_squared_error)
