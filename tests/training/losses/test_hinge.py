"""Multi-class hinge loss at worked values, as the binary hinge, and against torch's."""

from __future__ import annotations

import pytest
import torch
from loss_values import random_logits, value_and_gradient
from torch import nn

from general_circuits.training import losses


@pytest.mark.parametrize(
    ("logits", "label", "loss", "gradient"),
    [
        # Margins 0.75, −2 and 3.
        ([1.0, 0.25, -1.0], 0, 0.25, [-1.0, 1.0, 0.0]),
        ([0.0, 1.0, 2.0], 0, 3.0, [-1.0, 0.0, 1.0]),
        ([3.0, 0.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_worked_values(logits, label, loss, gradient):
    value, slope = value_and_gradient("hinge", logits, label)
    assert value == pytest.approx(loss, abs=1e-12)
    assert slope == pytest.approx(gradient, abs=1e-12)


@pytest.mark.parametrize("f", [-2.0, -0.4, 0.0, 0.4, 0.99, 1.5])
@pytest.mark.parametrize(("label", "y"), [(0, 1.0), (1, -1.0)])
def test_two_logits_of_half_of_f_have_the_binary_hinge(label, y, f):
    assert value_and_gradient("hinge", [f / 2, -f / 2], label)[0] == pytest.approx(max(0.0, 1 - f * y), abs=1e-15)


def test_with_two_classes_it_is_twice_torchs():
    """torch divides the sum over wrong classes by the number of classes."""
    logits, labels = random_logits()
    two, of_two = logits[:, :2], labels % 2
    torch.testing.assert_close(
        losses.named("hinge").mean(two, of_two), 2 * nn.functional.multi_margin_loss(two, of_two), rtol=1e-12, atol=0
    )


def test_examples_with_a_margin_of_one_or_more_have_no_gradient():
    logits, labels = random_logits()
    loss = losses.named("hinge")
    is_free = loss.of_each(logits, labels) == 0
    assert 0 < is_free.sum() < len(labels)
    assert (loss.gradient(logits, labels)[is_free] == 0).all()
    assert (loss.gradient(logits, labels)[~is_free] != 0).sum(dim=1).eq(2).all()
