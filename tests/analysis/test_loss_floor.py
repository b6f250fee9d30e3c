"""Floors of training loss, and leads of validation loss, in losses that are known at every step."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from loss_tables import GENERALISED, LAST, events, falling, losses

from general_circuits.analysis.loss_floor import Lead, floor, leads


def lead(table: pd.DataFrame) -> Lead:
    """Return the lead of the first replica."""
    found = leads(table, events())[0]
    assert found is not None
    return found


def test_the_floor_is_the_10_percent_quantile_of_the_51_steps_around() -> None:
    """The quantile of 25 … 75 is 25 + 0.1 · 50. At the start 26 steps count, 0 … 25, whose quantile is 0.1 · 25."""
    low = floor(pd.Series(np.arange(101.0)))
    assert low.iloc[[0, 50, 100]].tolist() == pytest.approx([2.5, 30.0, 77.5])


def test_a_spike_does_not_move_the_floor_of_equal_losses() -> None:
    series = pd.Series([1.0] * 60 + [100.0] * 40 + [1.0] * 60)
    assert floor(series).tolist() == [1.0] * 160


@pytest.mark.parametrize("change", [-2.0, -0.3, 0.0, 0.5])
def test_a_planted_change_of_the_floor_is_found(change: float) -> None:
    """Both smoothed losses lag a few of 500 steps behind, so a few percent of the change."""
    found = lead(losses(falling(change)))
    assert found.change == pytest.approx(change, abs=0.06 * abs(change) + 1e-9)
    assert found.first_nat == pytest.approx(500, abs=45)


def test_the_lead_is_the_distance_between_both_first_nats() -> None:
    """The log of training loss falls by 0.01 per step from some step on, so a nat takes 100 steps."""
    later, earlier = (lead(losses(falling(-3.0, begins, 300))) for begins in (2000, 1100))
    assert later.steps == pytest.approx(2100 - later.plateau.fallen, abs=25)
    assert earlier.steps == pytest.approx(1200 - earlier.plateau.fallen, abs=25)
    assert earlier.steps < 0 < later.steps
    assert not later.survives


def test_a_floor_that_never_falls_survives_to_the_end_of_training() -> None:
    found = lead(losses(falling(-0.5)))
    assert found.survives
    assert found.steps == LAST - found.plateau.fallen


def test_a_validation_loss_that_does_not_fall_has_a_plateau_and_no_lead() -> None:
    found = lead(losses(falling(-1.0), validation=lambda steps, replica: steps / 1000.0))
    assert math.isnan(found.plateau.fallen)
    assert all(math.isnan(value) for value in (found.change, found.steps, found.first_nat))


def test_every_replica_of_the_events_has_an_entry_and_other_conditions_have_none() -> None:
    """The third replica never memorised, so it was not watched; the fourth generalised at once."""
    table = losses(falling(-1.0))
    others = table.assign(condition="no_delay", replica=9)
    happened = events((100, 100, None, 100, 100), (GENERALISED, None, None, 150, GENERALISED))
    found = leads(pd.concat([table[table["replica"] != 2], others]), happened)
    assert list(found) == [0, 1, 2, 3, 4]
    assert [number for number, of_replica in found.items() if of_replica is None] == [2, 3]
