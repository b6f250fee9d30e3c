"""Losses and their gradients at hand-worked values; what each of them is known for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from general_circuits.training import losses

EVERY_LOSS = pytest.mark.parametrize("name", losses.names())


def of(name: str, logits: list[float], label: int) -> tuple[float, list[float]]:
    """Loss and gradient of one example."""
    rows, labels = torch.tensor([logits], dtype=torch.float64), torch.tensor([label])
    return losses.named(name).of_each(rows, labels).item(), losses.named(name).gradient(rows, labels)[0].tolist()


def random_examples(n: int = 20, n_classes: int = 4, spread: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = spread * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(n_classes, (n,), generator=generator)


@pytest.mark.parametrize(
    ("name", "logits", "label", "loss", "gradient"),
    [
        # Softmax is 1/6, 2/6, 3/6.
        ("cross_entropy", [0.0, math.log(2), math.log(3)], 2, math.log(2), [1 / 6, 2 / 6, 3 / 6 - 1]),
        # (1² + 2² + 2²) / 3, and 2/3 of each difference.
        ("mean_squared_error", [1.0, 2.0, 3.0], 2, 3.0, [2 / 3, 4 / 3, 4 / 3]),
        ("mean_squared_error", [0.0, 1.0], 1, 0.0, [0.0, 0.0]),
        # Margins 0.75, −2 and 3.
        ("hinge", [1.0, 0.25, -1.0], 0, 0.25, [-1.0, 1.0, 0.0]),
        ("hinge", [0.0, 1.0, 2.0], 0, 3.0, [-1.0, 0.0, 1.0]),
        ("hinge", [3.0, 0.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
        # s is 1, 2, ½ and its slope 1, 1, ¼: slope / 3.5, less slope / s at the label.
        ("stablemax", [0.0, 1.0, -1.0], 1, math.log(3.5 / 2), [1 / 3.5, 1 / 3.5 - 1 / 2, 0.25 / 3.5]),
        ("stablemax", [0.0, 1.0, -1.0], 2, math.log(3.5 / 0.5), [1 / 3.5, 1 / 3.5, 0.25 / 3.5 - 0.25 / 0.5]),
    ],
)
def test_worked_values(name, logits, label, loss, gradient):
    found = of(name, logits, label)
    assert found[0] == pytest.approx(loss, abs=1e-12)
    assert found[1] == pytest.approx(gradient, abs=1e-12)


@EVERY_LOSS
def test_gradients_are_autograds_of_the_sum(name):
    logits, labels = random_examples()
    leaf = logits.clone().requires_grad_()
    (expected,) = torch.autograd.grad(losses.named(name).mean(leaf, labels) * len(labels), leaf)
    with torch.no_grad():  # as training asks for it
        found = losses.named(name).gradient(logits, labels)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not found.requires_grad


@EVERY_LOSS
def test_gradients_are_slopes(name):
    logits, labels = random_examples()
    assert torch.autograd.gradcheck(lambda x: losses.named(name).mean(x, labels), logits.requires_grad_())


@EVERY_LOSS
def test_leading_axes_are_averaged_one_by_one(name):
    logits, labels = random_examples(n=12)
    stacked = torch.stack([logits, 2 * logits])
    found = losses.named(name).mean(stacked, labels)
    assert found.tolist() == [losses.named(name).mean(each, labels).item() for each in stacked]


def test_three_of_them_are_torchs_own():
    logits, labels = random_examples()
    one_hot = nn.functional.one_hot(labels, 4).double()
    for name, expected in (
        ("cross_entropy", nn.functional.cross_entropy(logits, labels)),
        ("mean_squared_error", nn.functional.mse_loss(logits, one_hot)),
    ):
        torch.testing.assert_close(losses.named(name).mean(logits, labels), expected)
    two, of_two = logits[:, :2], labels % 2  # with two classes, torch's halves what is summed over one wrong one
    torch.testing.assert_close(
        losses.named("hinge").mean(two, of_two), 2 * nn.functional.multi_margin_loss(two, of_two), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("f", [-2.0, -0.4, 0.0, 0.4, 0.99, 1.5])
@pytest.mark.parametrize(("label", "y"), [(0, 1.0), (1, -1.0)])
def test_two_logits_of_half_of_f_have_the_binary_hinge(label, y, f):
    assert of("hinge", [f / 2, -f / 2], label)[0] == pytest.approx(max(0.0, 1 - f * y), abs=1e-15)


def test_stablemax_has_a_gradient_where_cross_entropy_has_none_left():
    """The softmax collapse that it is made for: in float32, softmax rounds to 1 at a margin of 20."""
    rows, label = torch.tensor([[20.0, 0.0]]), torch.tensor([0])
    assert losses.named("cross_entropy").gradient(rows, label)[0, 0] == 0.0
    # slope / Σ − slope / s = 1/22 − 1/21
    assert losses.named("stablemax").gradient(rows, label)[0, 0].item() == pytest.approx(-1 / (21 * 22), rel=1e-4)


@pytest.mark.parametrize("x", [-1e4, -1.0, 0.0, 1.0, 1e4])
def test_stablemax_is_smooth_and_finite_everywhere(x):
    """Also at 1, where the branch for negative logits would divide by zero."""
    loss, gradient = of("stablemax", [x, 0.5], 0)
    assert math.isfinite(loss)
    slope, s = (1.0, x + 1) if x >= 0 else ((1 - x) ** -2, 1 / (1 - x))
    assert gradient[0] == pytest.approx(slope / (s + 1.5) - slope / s, rel=1e-9)
