"""Mean squared error at worked values, and against torch's."""

from __future__ import annotations

import pytest
import torch
from loss_values import random_logits, value_and_gradient
from torch import nn

from general_circuits.training import losses


@pytest.mark.parametrize(
    ("logits", "label", "loss", "gradient"),
    [
        # (1² + 2² + 2²) / 3, and 2/3 of each difference.
        ([1.0, 2.0, 3.0], 2, 3.0, [2 / 3, 4 / 3, 4 / 3]),
        ([0.0, 1.0], 1, 0.0, [0.0, 0.0]),
    ],
)
def test_worked_values(logits, label, loss, gradient):
    value, slope = value_and_gradient("mean_squared_error", logits, label)
    assert value == pytest.approx(loss, abs=1e-12)
    assert slope == pytest.approx(gradient, abs=1e-12)


def test_the_mean_is_torchs_against_one_hot_targets():
    logits, labels = random_logits()
    one_hot = nn.functional.one_hot(labels, 4).double()
    torch.testing.assert_close(
        losses.named("mean_squared_error").mean(logits, labels), nn.functional.mse_loss(logits, one_hot)
    )


def test_a_margin_beyond_one_is_punished_too():
    """Cross-entropy would fall here: the label's logit rises from 1 to 3."""
    assert value_and_gradient("mean_squared_error", [3.0, 0.0], 0) == (2.0, [2.0, 0.0])
