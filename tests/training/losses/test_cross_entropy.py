"""Cross-entropy at worked values, and against torch's."""

from __future__ import annotations

import math

import pytest
import torch
from loss_values import random_logits, value_and_gradient
from torch import nn

from general_circuits.training import losses


def test_worked_values():
    """Softmax is 1/6, 2/6, 3/6, so the loss is log 2."""
    loss, gradient = value_and_gradient("cross_entropy", [0.0, math.log(2), math.log(3)], 2)
    assert loss == pytest.approx(math.log(2), abs=1e-12)
    assert gradient == pytest.approx([1 / 6, 2 / 6, 3 / 6 - 1], abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5, 113])
def test_equal_logits_cost_the_logarithm_of_the_number_of_classes(n_classes):
    loss, gradient = value_and_gradient("cross_entropy", [7.0] * n_classes, 0)
    assert loss == pytest.approx(math.log(n_classes), rel=1e-12)
    assert gradient == pytest.approx([1 / n_classes - 1] + [1 / n_classes] * (n_classes - 1), rel=1e-9)


def test_the_mean_is_torchs():
    logits, labels = random_logits()
    torch.testing.assert_close(
        losses.named("cross_entropy").mean(logits, labels), nn.functional.cross_entropy(logits, labels)
    )


def test_the_gradient_leaves_logits_as_they_were():
    """The subtraction of 1 is in place, but on the softmax and not on the logits."""
    logits, labels = random_logits()
    before = logits.clone()
    losses.named("cross_entropy").gradient(logits, labels)
    assert torch.equal(logits, before)
