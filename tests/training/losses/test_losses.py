"""Facts that hold for every loss: its gradient, its mean and its file."""

from __future__ import annotations

import pytest
import torch
from loss_values import random_logits

from general_circuits.models import predictions
from general_circuits.training import losses

EVERY_LOSS = pytest.mark.parametrize("name", losses.names())


def test_each_file_of_the_package_is_a_loss():
    assert losses.names() == ["cross_entropy", "hinge", "mean_squared_error", "stablemax"]


@EVERY_LOSS
def test_a_loss_is_defined_in_the_module_of_its_name(name):
    assert losses.module_of(name) == f"general_circuits.training.losses.{name}"
    assert isinstance(losses.named(name), losses.Loss)


@EVERY_LOSS
def test_gradients_are_autograds_of_the_sum(name):
    logits, labels = random_logits()
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(losses.named(name).mean(leaf, labels) * len(labels), leaf)
    with torch.no_grad():  # training calls it without autograd
        gradient = losses.named(name).gradient(logits, labels)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)
    assert not gradient.requires_grad


@EVERY_LOSS
def test_gradients_are_slopes(name):
    logits, labels = random_logits()
    assert torch.autograd.gradcheck(lambda x: losses.named(name).mean(x, labels), logits.requires_grad_())


@EVERY_LOSS
def test_each_leading_axis_has_its_own_mean(name):
    logits, labels = random_logits(n=12)
    stacked = torch.stack([logits, 2 * logits])
    means = losses.named(name).mean(stacked, labels)
    assert means.tolist() == [losses.named(name).mean(each, labels).item() for each in stacked]


@pytest.mark.parametrize("name", ["cross_entropy", "hinge"])
def test_losses_of_logit_differences_do_not_change_when_all_logits_shift(name):
    logits, labels = random_logits()
    loss = losses.named(name)
    torch.testing.assert_close(loss.of_each(logits + 5.0, labels), loss.of_each(logits, labels), rtol=0, atol=1e-12)
    torch.testing.assert_close(loss.gradient(logits, labels).sum(dim=1), torch.zeros(20).double(), rtol=0, atol=1e-12)


def test_a_loss_by_autograd_needs_only_its_values():
    """Σ over examples of the squared right logit: its gradient is twice that logit at the label, and 0 elsewhere."""
    loss = losses.by_autograd(lambda logits, labels: predictions.right_logit(logits, labels).square())
    with torch.no_grad():
        gradient = loss.gradient(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0, 1]))
    assert gradient.tolist() == [[2.0, 0.0], [0.0, 8.0]]
