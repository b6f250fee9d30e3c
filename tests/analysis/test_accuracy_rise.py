"""Rises of accuracies that are known by hand."""

from __future__ import annotations

import math

import pytest
from rise_tables import events, rising, table

from general_circuits.analysis.accuracy_rise import rises


def test_a_rise_by_hand() -> None:
    """Validation from 0 at 1,000 to 1 at 3,000: 5 % at 1,100 and 95 % at 2,900; training from 0 to 1 in 100 steps.

    Weights travel as the square of the steps, so that the share on that clock is 1 − (1,100 / 2,900)².
    """
    metrics = table(
        train_accuracy=rising(0, 100),
        validation_accuracy=rising(1000, 3000),
        distance=lambda steps, replica: (steps / 1000.0) ** 2,
    )
    first = rises(metrics, events(), "grokking")[0]
    assert (first.start, first.end, first.steps) == pytest.approx((1100, 2900, 1800))
    assert first.share == pytest.approx(1800 / 2900)
    assert first.share_of_distance == pytest.approx(1 - (1100 / 2900) ** 2, abs=1e-3)
    assert (first.memorisation_steps, first.memorisation_share) == pytest.approx((90, 90 / 95))


def test_the_rise_starts_from_the_plateau_and_not_from_0() -> None:
    """The plateau is 0.2. So 5 % and 95 % of the way to 1 are 0.24 and 0.96, at steps 1,100 and 2,900."""
    metrics = table(
        train_accuracy=rising(0, 100),
        validation_accuracy=lambda steps, replica: 0.2 + 0.8 * rising(1000, 3000)(steps, replica),
    )
    rise = rises(metrics, events(), "grokking")[0]
    assert (rise.start, rise.end) == pytest.approx((1100, 2900))


def test_replicas_keep_the_order_of_their_numbers() -> None:
    """Each replica rises a step later."""
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 3000))
    shuffled = metrics.sample(frac=1, random_state=0)
    assert [rise.start for rise in rises(shuffled, events(), "grokking")] == pytest.approx([1100 + i for i in range(5)])


def test_without_t_m_validation_accuracy_has_no_rise_but_training_accuracy_may_have_one() -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 3000))
    rise = rises(metrics, events(memorised=None), "grokking")[0]
    assert math.isnan(rise.start)
    assert math.isnan(rise.share)
    assert math.isnan(rise.share_of_distance)
    assert rise.memorisation_steps == pytest.approx(90)


def test_a_rise_that_does_not_end_has_a_start_and_no_share() -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 9000))
    rise = rises(metrics, events(), "grokking")[0]
    assert rise.start == pytest.approx(1400)
    assert math.isnan(rise.end)
    assert math.isnan(rise.share)
