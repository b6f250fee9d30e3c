"""Plateaus and peaks of validation losses that are known at every step."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from loss_tables import GENERALISED, LAST, MEMORISED, PEAK, STEPS, validation

from general_circuits.analysis.plateau import plateau, smoothed

NEVER = math.nan
LOSS = pd.Series(validation(STEPS, 0), index=STEPS)
"""30 up to step 199, then a rise to 6 at step 1,000 and a fall, by a nat in 500 steps each."""


def test_the_plateau_ends_where_validation_loss_has_fallen_by_a_nat() -> None:
    """The median of the 51 steps around the peak is the loss 13 steps away from it, 6 − 13 / 500."""
    found = plateau(LOSS, MEMORISED, GENERALISED)
    assert found is not None
    assert found.peak == PEAK - 13
    assert found.fallen == PEAK + 500 + 13
    assert found.steps == range(2 * MEMORISED, int(found.fallen))
    assert found.rises


def test_the_overshoot_before_twice_t_m_is_no_peak() -> None:
    assert LOSS.idxmax() == MEMORISED
    without = LOSS.clip(upper=6.0)
    assert plateau(LOSS, MEMORISED, GENERALISED).peak == plateau(without, MEMORISED, GENERALISED).peak


def test_the_peak_comes_before_t_g() -> None:
    """Validation loss that rises after t_g has no peak there."""
    late = LOSS.where(LOSS.index < GENERALISED, 50.0)
    assert plateau(late, MEMORISED, GENERALISED - 25) == plateau(LOSS, MEMORISED, GENERALISED - 25)


def test_a_spike_of_validation_loss_is_no_peak_and_no_fall() -> None:
    spiky = LOSS.copy()
    spiky.loc[700:719] = 50.0
    spiky.loc[1200:1219] = 0.0
    found, plain = plateau(spiky, MEMORISED, GENERALISED), plateau(LOSS, MEMORISED, GENERALISED)
    assert found == plain


def test_the_plateau_ends_at_t_g_where_validation_loss_has_not_fallen_by_then() -> None:
    assert plateau(LOSS, MEMORISED, 1200).steps == range(2 * MEMORISED, 1200)


def test_a_plateau_that_nothing_ends_lasts_to_the_end_of_training() -> None:
    flat = pd.Series(4.0, index=STEPS)
    found = plateau(flat, MEMORISED, NEVER)
    assert found.steps == range(2 * MEMORISED, LAST + 1)
    assert math.isnan(found.fallen)
    assert not found.rises


@pytest.mark.parametrize(("memorised", "generalised"), [(NEVER, NEVER), (100, 200), (100, 150), (2000, NEVER)])
def test_without_memorising_or_without_a_delay_there_is_no_plateau(memorised: float, generalised: float) -> None:
    assert plateau(LOSS, memorised, generalised) is None


def test_losses_that_are_not_finite_are_left_out() -> None:
    diverged = LOSS.astype(float).copy()
    diverged.loc[2000:2400] = np.inf
    diverged.loc[2401:] = np.nan
    assert plateau(diverged, MEMORISED, NEVER) == plateau(LOSS, MEMORISED, NEVER)


def test_a_running_median_by_hand() -> None:
    """Only 26 of the 51 steps exist at the ends: the median of 0 … 25 is 12.5."""
    assert smoothed(pd.Series(np.arange(100.0))).iloc[[0, 50, 99]].tolist() == [12.5, 50.0, 86.5]
