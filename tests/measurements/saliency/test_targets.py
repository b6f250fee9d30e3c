"""Targets of saliency at worked values, and their gradients in the logits."""

from __future__ import annotations

import math

import pytest
import torch
from saliency_builders import EVERY_TARGET

from general_circuits.measurements.saliency.targets import TARGETS, Target, saturated

LOGITS = torch.tensor([[12.0, 0.0, 0.0], [6.0, 0.0, 6.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2])


def test_targets_at_worked_values() -> None:
    found = {name: target(LOGITS, LABELS).tolist() for name, target in TARGETS.items()}
    assert found["right_minus_mean"] == [8, -4, 0]
    assert found["right_logit"] == [12, 0, 1]
    assert found["margin"] == [12, -6, 0]
    expected = [-math.log1p(2 * math.exp(-12)), -math.log(2 * math.exp(6) + 1), -math.log(3)]
    assert found["log_probability"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["right_minus_mean", "margin", "log_probability"])
def test_all_but_the_right_logit_ignore_a_shift_of_all_logits(name: str) -> None:
    torch.testing.assert_close(TARGETS[name](LOGITS + 100, LABELS), TARGETS[name](LOGITS, LABELS))


@pytest.mark.parametrize("target", EVERY_TARGET, ids=lambda target: target.name)
def test_gradients_are_the_derivative_whatever_the_scale(target: Target) -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for scale in (1.0, 4.0):
        scaled = target.at_scale(scale)
        torch.testing.assert_close(scaled(logits, LABELS), target(logits / scale, LABELS))
        found, step = scaled.gradient(logits, LABELS), 1e-6
        for c in range(3):
            up, down = logits.clone(), logits.clone()
            up[:, c] += step
            down[:, c] -= step
            slope = (scaled(up, LABELS) - scaled(down, LABELS)) / (2 * step)
            torch.testing.assert_close(found[:, c], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("target", EVERY_TARGET, ids=lambda target: target.name)
def test_targets_declared_linear_or_homogeneous_are(target: Target) -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    is_linear = torch.allclose(target(one + other, LABELS), target(one, LABELS) + target(other, LABELS))
    assert is_linear == target.is_linear
    assert torch.allclose(target(3 * one, LABELS), 3 * target(one, LABELS)) == target.is_homogeneous


def test_saturated_counts_sure_answers_at_the_targets_scale() -> None:
    target = TARGETS["log_probability"]
    assert saturated(target, LOGITS, LABELS) == pytest.approx(1 / 3)
    assert saturated(target.at_scale(4.0), LOGITS, LABELS) == 0  # e³ / (e³ + 2) is 0.91
    assert math.isnan(saturated(TARGETS["margin"], LOGITS, LABELS))
