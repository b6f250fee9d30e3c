"""Floors of training loss, and leads of validation loss, in losses that are known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from rise_tables import losses, table

from general_circuits.analysis.loss_floor import floor, leads


def test_the_floor_is_the_10_percent_quantile_of_the_seven_evaluations_around() -> None:
    """The quantile of 0 … 6 is 0.1 · 6. At the ends only four evaluations count, 0 … 3, whose quantile is 0.1 · 3."""
    series = pd.Series(np.arange(9.0), index=range(0, 90, 10))
    assert floor(series).tolist() == pytest.approx([0.3, 0.4, 0.5, 0.6, 1.6, 2.6, 3.5, 4.4, 5.3])


def test_one_spike_does_not_move_the_floor_of_equal_losses() -> None:
    series = pd.Series([1.0] * 4 + [100.0] + [1.0] * 4)
    assert floor(series).tolist() == [1.0] * 9


def test_a_lead_by_hand() -> None:
    """Validation loss is 6 at step 1,000, and changes by 1 / 500 per step on either side.

    Its running median is 5.8 from step 900 to 1,100, of which the first counts, and 4.8 at step 1,600. At step 900 one
    evaluation of seven has begun to fall, to exp(−0.1) of the others; the quantile lies 0.6 of the way between. At step
    1,600 six of seven are down by the factor exp(−1).
    """
    lead = leads(losses(-1.0))[0]
    assert (lead.peak, lead.fallen, lead.first_nat) == (900, 1600, 700)
    floor_at_peak = math.exp(-0.1) + 0.6 * (1 - math.exp(-0.1))
    assert lead.change == pytest.approx(-1.0 - math.log(floor_at_peak))
    assert lead.change_of_loss == pytest.approx(1e-3 * (math.exp(-1.0) - floor_at_peak))


def test_a_floor_that_never_falls_has_the_steps_to_the_end() -> None:
    lead = leads(losses(0.0))[0]
    assert lead.until_floor == 4000 - lead.peak
    assert lead.change == pytest.approx(0.0, abs=1e-12)


def test_a_loss_that_falls_less_than_a_nat_has_only_a_peak() -> None:
    metrics = table(
        validation_loss=lambda steps, replica: 6 - np.abs(steps - 1000) / 5000,
        train_loss=lambda steps, replica: 1.0 + 0 * steps,
    )
    lead = leads(metrics)[0]
    assert lead.peak == 900
    assert all(math.isnan(value) for value in (lead.fallen, lead.change, lead.change_of_loss, lead.until_floor))


def test_diverged_evaluations_and_other_conditions_are_left_out() -> None:
    metrics = losses(-1.0)
    diverged = metrics.assign(diverged=metrics["step"] > 2000)
    diverged.loc[diverged["diverged"], "loss"] = 1e9
    other = losses(0.0).assign(condition="no_delay", replica=9)
    assert leads(pd.concat([diverged, other])) == leads(metrics)
