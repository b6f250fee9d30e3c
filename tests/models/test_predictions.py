"""Loss, margin, probability and logit scale at worked values, and changes that do not affect them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.models import predictions

# Softmax of the first example is 1/6, 2/6, 3/6; of the second 1/3 each.
LOGITS = torch.tensor([[0.0, math.log(2), math.log(3)], [5.0, 5.0, 5.0]], dtype=torch.float64)
LABELS = torch.tensor([2, 0])


def close(found: torch.Tensor, expected: object) -> None:
    """Assert that the numbers are equal to double precision."""
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@st.composite
def batches(draw) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (example, class) in whole numbers, so that ties occur, and labels (example)."""
    n, classes = draw(st.integers(1, 6)), draw(st.integers(2, 5))
    rows = st.lists(st.integers(-4, 4), min_size=classes, max_size=classes)
    logits = draw(st.lists(rows, min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)


def test_loss_is_the_mean_surprise_in_nats():
    close(predictions.loss(LOGITS, LABELS), (math.log(2) + math.log(3)) / 2)


def test_surprise_is_each_examples_minus_log_probability():
    close(predictions.surprise(LOGITS, LABELS), [math.log(2), math.log(3)])


def test_right_logit_is_the_logit_of_the_label():
    close(predictions.right_logit(LOGITS, LABELS), [math.log(3), 5.0])


def test_margin_is_over_the_best_wrong_answer():
    close(predictions.margins(LOGITS, LABELS), [math.log(3 / 2), 0.0])
    close(predictions.margins(LOGITS, torch.tensor([0, 2])), [-math.log(3), 0.0])


def test_right_minus_mean_at_worked_values():
    close(predictions.right_minus_mean(LOGITS, LABELS), [math.log(3) - math.log(6) / 3, 0.0])


@given(batches())
def test_a_margin_is_over_the_rival(batch):
    """The rival is the best wrong class, so the margin over it is the margin."""
    logits, labels = batch
    rivals = predictions.rivals(logits, labels)
    assert (rivals != labels).all()
    assert torch.equal(predictions.margins_over(logits, labels, rivals), predictions.margins(logits, labels))


def test_correct_probability_is_the_labels_softmax():
    close(predictions.correct_probability(LOGITS, LABELS), [1 / 2, 1 / 3])
    close(predictions.correct_probability(LOGITS, torch.tensor([1, 1])), [1 / 3, 1 / 3])


@given(batches(), st.floats(-50, 50))
def test_shifting_all_logits_of_an_example_changes_nothing(batch, shift):
    logits, labels = batch
    for score in (predictions.loss, predictions.margins, predictions.correct_probability):
        torch.testing.assert_close(score(logits + shift, labels), score(logits, labels), rtol=1e-9, atol=1e-9)


@given(batches())
def test_a_margin_is_positive_exactly_where_the_label_alone_has_the_largest_logit(batch):
    logits, labels = batch
    is_largest = logits == logits.amax(dim=1, keepdim=True)  # (example, class)
    alone = is_largest.gather(1, labels[:, None]).squeeze(1) & (is_largest.sum(dim=1) == 1)
    assert torch.equal(predictions.margins(logits, labels) > 0, alone)


@given(batches())
def test_loss_is_the_mean_of_minus_log_probability(batch):
    logits, labels = batch
    surprise = -predictions.correct_probability(logits, labels).log()
    torch.testing.assert_close(predictions.loss(logits, labels), surprise.mean())


def test_leading_axes_are_scored_one_by_one():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)  # (…, example, class)
    labels = torch.tensor([0, 4, 2, 2])
    for score, shape in (
        (predictions.loss, (2, 3)),
        (predictions.right_logit, (2, 3, 4)),
        (predictions.surprise, (2, 3, 4)),
        (predictions.margins, (2, 3, 4)),
        (predictions.correct_probability, (2, 3, 4)),
    ):
        found = score(logits, labels)
        assert found.shape == shape
        for i in range(2):
            for j in range(3):
                torch.testing.assert_close(found[i, j], score(logits[i, j], labels))


def test_a_margin_of_20_has_a_gradient_in_float64_and_none_in_float32():
    """1 − p is 2·10⁻⁹ here, which float32 rounds to 0. Therefore the precision of the loss is a setting."""
    gradients = {}
    for precision in (torch.float32, torch.float64):
        logits = torch.tensor([[20.0, 0.0]], dtype=precision, requires_grad=True)
        predictions.loss(logits, torch.tensor([0])).backward()
        gradients[precision] = logits.grad[0, 0].item()
    assert gradients[torch.float32] == 0.0
    assert math.isclose(gradients[torch.float64], -1 / (1 + math.exp(20)), rel_tol=1e-6)


def test_huge_logits_give_finite_scores():
    logits, labels = torch.tensor([[1e4, -1e4]]), torch.tensor([1])
    assert predictions.loss(logits, labels) == 2e4
    assert predictions.correct_probability(logits, labels) == 0


def test_the_scale_of_logits_at_worked_values() -> None:
    """Centred, [[1, −1], [3, −3]]: the root of 5. The mean of each example does not count."""
    logits = torch.tensor([[12.0, 10.0], [3.0, -3.0]])
    assert predictions.logit_scale(logits) == pytest.approx(math.sqrt(5))
    assert predictions.logit_scale(3 * logits) == pytest.approx(3 * math.sqrt(5))
    assert predictions.logit_scale(logits + 7) == pytest.approx(math.sqrt(5))
    assert predictions.logit_scale(torch.ones(2, 2)) == 1


def test_logits_of_zero_have_scale_one() -> None:
    """A lookup table gives such logits on examples that it does not know."""
    assert predictions.logit_scale(torch.zeros(4, 3)) == 1.0
    assert predictions.logit_scale(torch.tensor([[1.0, -1.0], [5.0, 5.0]])) == pytest.approx(math.sqrt(0.5))
    assert predictions.logit_scale(torch.tensor([[1.0, -1.0], [5.0, 5.0]]) + 100) == pytest.approx(math.sqrt(0.5))
