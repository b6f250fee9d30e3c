"""Spikes of a loss that is recorded at every step, and the quiet windows beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.training.spikes import AFTER, BEFORE, Spike, baseline, find, inside, listed, quiet

FIRST, LAST = 80, 3000
"""First and last step of the record."""
MAY_BE_QUIET = range(FIRST + BEFORE, LAST - AFTER + 1)
"""Steps whose whole window is recorded."""


def loss(peaks: dict[int, float], last: int = LAST) -> pd.Series:
    """Return a loss that falls slowly from 1 and has peaks.

    Args:
        peaks: factor of the loss at each peak, by step; the steps beside it get half the factor.
        last: last step of the record.
    """
    steps = np.arange(FIRST, last + 1)
    values = 0.999 ** (steps - FIRST)
    for step, times in peaks.items():
        values[step - FIRST] *= times
        values[[step - FIRST - 1, step - FIRST + 1]] *= times / 2
    return pd.Series(values, index=pd.Index(steps, name="step"))


def test_a_spike_is_a_loss_above_a_multiple_of_the_median_before_it() -> None:
    spikes = find(loss({500: 10, 1200: 3, 2000: 1.9}), 2.0)
    assert spikes == [Spike(499, 500), Spike(1200, 1200)]
    assert find(loss({500: 10, 1200: 3, 2000: 1.9}), 4.0) == [Spike(499, 500)]
    assert find(loss({}), 1.5) == []


def test_the_median_needs_fifty_steps_and_is_that_of_the_fifty_before() -> None:
    record = loss({})
    base = baseline(record)
    assert base.isna().sum() == BEFORE
    assert base.loc[FIRST + BEFORE] == pytest.approx(record.loc[FIRST : FIRST + BEFORE - 1].median())
    assert find(loss({FIRST + 10: 100}), 2.0) == []


def test_rises_less_than_fifty_steps_apart_are_one_spike_with_the_larger_as_its_peak() -> None:
    assert find(loss({500: 4, 540: 9}), 2.0) == [Spike(500, 540)]
    assert find(loss({500: 9, 560: 4}), 2.0) == [Spike(499, 500), Spike(560, 560)]


def test_a_diverged_loss_has_no_more_spikes() -> None:
    record = loss({500: 10})
    record.loc[700:] = np.nan
    assert find(record, 2.0) == [Spike(499, 500)]


def test_spikes_inside_are_those_whose_whole_window_was_trained() -> None:
    spikes = find(loss({150: 10, 1500: 10, 2900: 10}), 2.0)
    assert [spike.peak for spike in spikes] == [150, 1500, 2900]
    assert [spike.peak for spike in inside(spikes, FIRST, 3000)] == [150, 1500]
    assert [spike.peak for spike in inside(spikes, 100, 3000)] == [1500]


def test_quiet_steps_are_the_nearest_whose_window_overlaps_no_spike() -> None:
    spikes = find(loss({500: 10, 1500: 10, 1900: 10}), 2.0)
    before, after = quiet(spikes, spikes[1], MAY_BE_QUIET)
    assert before == spikes[1].window[0] - AFTER - 1
    assert after == spikes[2].window[1] + BEFORE + 1, "between the last two there is no room"
    assert quiet(find(loss({300: 10}), 2.0), Spike(299, 300), range(FIRST + BEFORE, 501)) == [], "both ends are near"


def test_quiet_steps_lie_among_the_steps_that_may_be_quiet() -> None:
    spikes = find(loss({1500: 10}), 2.0)
    assert quiet(spikes, spikes[0], range(400, 1200)) == [1199]
    assert quiet(spikes, spikes[0], range(1800, 2200)) == [1800]
    assert quiet(spikes, spikes[0], range(0)) == []


@given(st.lists(st.integers(FIRST + 60, 2950), max_size=6, unique=True))
def test_no_quiet_window_overlaps_that_of_a_spike(peaks: list[int]) -> None:
    spikes = find(loss(dict.fromkeys(peaks, 50.0)), 2.0)
    for spike in spikes:
        for centre in quiet(spikes, spike, MAY_BE_QUIET):
            assert centre in MAY_BE_QUIET
            assert not any(other.window[0] <= centre + AFTER and centre - BEFORE <= other.window[1] for other in spikes)


def test_rows_hold_both_losses_at_the_peak_and_before_the_spike() -> None:
    training = loss({500: 10})
    losses = pd.DataFrame({"training": training, "validation": 2 * training})
    rows = listed(find(training, 2.0), losses)
    assert rows.to_dict("records") == [
        {
            "spike": 500,
            "kind": "spike",
            "step": 500,
            "loss": training.loc[500],
            "validation": 2 * training.loc[500],
            "loss_before": training.loc[499 - BEFORE],
            "validation_before": 2 * training.loc[499 - BEFORE],
        }
    ]
    assert listed([], losses).empty
