"""StableMax at worked values, and the collapse of the softmax that it avoids."""

from __future__ import annotations

import math

import pytest
import torch
from loss_values import random_logits, value_and_gradient
from runs import replica_of, weights_of

from general_circuits.training import losses


@pytest.mark.parametrize(
    ("label", "loss", "gradient"),
    [
        # s is 1, 2, ½ and its slope 1, 1, ¼: slope / 3.5, less slope / s at the label.
        (1, math.log(3.5 / 2), [1 / 3.5, 1 / 3.5 - 1 / 2, 0.25 / 3.5]),
        (2, math.log(3.5 / 0.5), [1 / 3.5, 1 / 3.5, 0.25 / 3.5 - 0.25 / 0.5]),
    ],
)
def test_worked_values(label, loss, gradient):
    value, slope = value_and_gradient("stablemax", [0.0, 1.0, -1.0], label)
    assert value == pytest.approx(loss, abs=1e-12)
    assert slope == pytest.approx(gradient, abs=1e-12)


def test_stablemax_has_a_gradient_where_cross_entropy_has_none_left():
    """The collapse of the softmax: in float32 it rounds to 1 at a margin of 20."""
    rows, label = torch.tensor([[20.0, 0.0]]), torch.tensor([0])
    assert losses.named("cross_entropy").gradient(rows, label)[0, 0] == 0.0
    # slope / Σ − slope / s = 1/22 − 1/21
    assert losses.named("stablemax").gradient(rows, label)[0, 0].item() == pytest.approx(-1 / (21 * 22), rel=1e-4)


@pytest.mark.parametrize("x", [-1e4, -1.0, 0.0, 1.0, 1e4])
def test_stablemax_is_smooth_and_finite_everywhere(x):
    """This includes x = 1, where the branch for negative logits would divide by zero."""
    loss, gradient = value_and_gradient("stablemax", [x, 0.5], 0)
    assert math.isfinite(loss)
    slope, s = (1.0, x + 1) if x >= 0 else ((1 - x) ** -2, 1 / (1 - x))
    assert gradient[0] == pytest.approx(slope / (s + 1.5) - slope / s, rel=1e-9)


def test_unlike_a_softmax_it_changes_when_all_logits_shift():
    """s is 2 and 1, then 3 and 2: the loss goes from log 3/2 to log 5/3."""
    assert value_and_gradient("stablemax", [1.0, 0.0], 0)[0] == pytest.approx(math.log(3 / 2), abs=1e-12)
    assert value_and_gradient("stablemax", [2.0, 1.0], 0)[0] == pytest.approx(math.log(5 / 3), abs=1e-12)


def test_the_closed_gradient_is_that_of_autograd():
    """Some logits are exactly 0, where both branches meet, and some exactly 1."""
    logits, labels = random_logits(40)
    logits[::3, 1], logits[1::3, 2] = 0.0, 1.0
    loss = losses.named("stablemax")
    leaf = logits.clone().requires_grad_()
    loss.of_each(leaf, labels).sum().backward()
    torch.testing.assert_close(loss.gradient(logits, labels), leaf.grad, rtol=1e-12, atol=1e-15)


def test_a_replica_that_trains_on_it_is_the_same_by_both_arithmetics():
    """Reduced arithmetic uses the closed gradient, and plain arithmetic uses autograd."""
    by = {}
    for arithmetic in ("reduced", "plain"):
        changes = {"loss": "stablemax", "loss_precision": "float64", "arithmetic": arithmetic}
        by[arithmetic] = weights_of(replica_of(steps=1, **changes).model)
    for name, weight in by["reduced"].items():
        torch.testing.assert_close(weight, by["plain"][name], rtol=1e-4, atol=1e-6)
