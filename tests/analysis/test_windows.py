"""Values read off a replica's series at the steps of its events."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.analysis import windows

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")


def test_a_value_is_that_of_a_measured_step_and_nothing_is_interpolated() -> None:
    series = pd.Series({0: 1.0, 100: 3.0, 300: 7.0})
    assert [windows.value_at(series, step) for step in (0, 100, 300.0)] == [1.0, 3.0, 7.0]
    assert all(math.isnan(windows.value_at(series, step)) for step in (-1, 50, 99.5, 301, NAN))


def test_a_series_without_values_has_none() -> None:
    empty = pd.Series(dtype=float)
    assert math.isnan(windows.value_at(empty, 10.0))
    assert math.isnan(windows.late_window(empty, 10.0))


@pytest.mark.parametrize(
    ("generalised", "median"),
    [
        (200.0, 2.5),  # 200 and 300
        (100.0, 1.0),  # 100 alone: 150 is no checkpoint
        (250.0, 3.0),  # 300 alone
        (400.0, 10.0),  # 400, 500, 600
        (600.0, 60.0),  # as far as it was trained
        (601.0, NAN),
        (NAN, NAN),
    ],
)
def test_the_late_window_is_the_median_from_t_g_to_half_as_long_again(generalised: float, median: float) -> None:
    series = pd.Series({0: 0.0, 100: 1.0, 200: 2.0, 300: 3.0, 400: 4.0, 500: 10.0, 600: 60.0})
    assert windows.late_window(series, generalised) == pytest.approx(median, nan_ok=True)


def test_the_change_is_the_late_median_less_the_value_at_the_baseline() -> None:
    series = pd.Series({0: 9.0, 100: 1.0, 150: 4.0, 200: 3.0, 400: 5.0, 500: 6.0, 600: 100.0, 700: 1000.0})
    steps = {"baseline": 150.0, "generalised": 400.0}
    assert windows.change_to_late_window(series, steps) == 6.0 - 4.0
    for censored in steps:
        assert math.isnan(windows.change_to_late_window(series, {**steps, censored: NAN}))


def test_a_baseline_between_checkpoints_or_within_the_late_window_has_no_change() -> None:
    series = pd.Series({100: 1.0, 400: 5.0, 500: 6.0})
    assert math.isnan(windows.change_to_late_window(series, {"baseline": 150.0, "generalised": 400.0}))
    assert math.isnan(windows.change_to_late_window(series, {"baseline": 500.0, "generalised": 400.0}))


def test_a_mean_over_time_is_a_sum_of_trapezoids() -> None:
    series = pd.Series({0: 9.0, 100: 1.0, 200: 3.0, 600: 5.0, 700: 50.0})
    # 100 steps at 2 on average, then 400 steps at 4.
    assert windows.time_mean(series, 100, 600) == (100 * 2 + 400 * 4) / 500
    assert math.isnan(windows.time_mean(series, 150, 400))  # nothing was evaluated there
    assert windows.time_mean(series, 200, 200) == 3.0


@pytest.mark.parametrize(("start", "end"), [(NAN, 200), (100, NAN), (-1, 200), (100, 701), (200, 100)])
def test_a_window_without_both_ends_has_no_mean(start: float, end: float) -> None:
    assert math.isnan(windows.time_mean(pd.Series({0: 1.0, 700: 2.0}), start, end))
    assert math.isnan(windows.time_mean(pd.Series(dtype=float), start, end))


def test_evaluations_that_crowd_early_steps_do_not_bias_a_mean_over_time() -> None:
    """Doubt falls from 0.1 at t_m to 0.0001 at t_o. Its true mean in log10 is −2.5."""
    steps = np.unique(np.geomspace(70, 1000, 40).round())
    doubt = pd.Series(-1.0 - 3.0 * (steps - 70) / 930, index=steps)
    assert windows.time_mean(doubt, 70, 1000) == pytest.approx(-2.5, abs=1e-9)
    assert doubt.mean() > -1.95  # the mean over evaluations
    # A curve that bends: with noise in each evaluation, the mean of 2,000 such means is right within its error.
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, (2000, len(steps)))
    curve = -3.0 + 2.0 * np.exp(-(steps - 70) / 200)
    true = -3.0 + 2.0 * 200 / 930 * (1 - math.exp(-930 / 200))
    means = [windows.time_mean(pd.Series(curve + row, index=steps), 70, 1000) for row in noise]
    assert np.mean(means) == pytest.approx(true, abs=0.01)


def test_a_level_is_reached_between_two_evaluations() -> None:
    assert windows.crossing(pd.Series([0.0, 0.2, 0.6], index=[0, 100, 200]), 0.5) == 175
    assert windows.crossing(pd.Series([0.5, 0.2], index=[0, 100]), 0.5) == 0
    assert math.isnan(windows.crossing(pd.Series([0.1, 0.2], index=[0, 100]), 0.5))


@given(st.floats(-10, 10), st.floats(0.1, 10))
def test_a_straight_line_changes_by_its_slope(intercept: float, slope: float) -> None:
    steps = np.append(np.arange(0, 1001, 100), 230)
    series = pd.Series(intercept + slope * steps, index=steps).sort_index()
    change = windows.change_to_late_window(series, {"baseline": 230.0, "generalised": 400.0})
    assert change == pytest.approx(slope * (500 - 230), rel=1e-9)


def test_only_steps_of_all_replicas_are_common() -> None:
    frame = pd.DataFrame({"replica": [0, 0, 0, 1, 1, 1], "step": [0, 70, 100, 0, 74, 100], "value": range(6)})
    assert windows.at_common_steps(frame)["step"].tolist() == [0, 100, 0, 100]


def test_steps_of_events_are_missing_where_censored() -> None:
    events = pd.DataFrame(
        {
            "condition": pd.Categorical(["grokking"] * 4 + ["control"] * 2, categories=["grokking", "control"]),
            "replica": [0, 0, 1, 1, 0, 0],
            "event": pd.Categorical(["memorised", "generalised"] * 3),
            "step": [10, 50, 20, 90, 30, 40],
            "censored": [False, False, False, True, False, False],
        }
    )
    steps = windows.steps_of_events(events, "grokking")
    assert steps.index.tolist() == [0, 1]
    assert steps["memorised"].tolist() == [10, 20]
    assert steps["generalised"][0] == 50
    assert math.isnan(steps["generalised"][1])


def test_series_are_sorted_and_leave_missing_steps_out() -> None:
    frame = pd.DataFrame({"replica": [1, 0, 0, 0, 1], "step": [5, 9, 3, 6, 1], "value": [1.0, 2.0, 3.0, NAN, 4.0]})
    steps = pd.DataFrame({"memorised": [10, 20, 30]}, index=pd.Index([0, 1, 2], name="replica"))
    series: dict[float, pd.Series] = {}

    def keep(one: pd.Series, events: Mapping[str, float]) -> float:
        series[events["memorised"]] = one
        assert one.index.is_monotonic_increasing
        return float(len(one))

    assert windows.over_replicas(frame, "value", steps, keep).tolist() == [2, 2, 0]
    assert {step: one.to_dict() for step, one in series.items()} == {
        10: {3: 3.0, 9: 2.0},
        20: {1: 4.0, 5: 1.0},
        30: {},
    }


@pytest.mark.parametrize(
    ("baseline", "generalised", "read"),
    [
        (100.0, 300.0, [100, 300, 400]),  # the late window is 300 to 450
        (150.0, 300.0, [300, 400]),
        (200.0, 250.0, [200, 300]),
        (100.0, 1000.0, [100]),  # t_g lies beyond the last step
        (NAN, 300.0, [600]),  # nothing is read, but the table must have a row
        (100.0, NAN, [600]),
    ],
)
def test_steps_read_are_the_baseline_and_the_late_window(baseline: float, generalised: float, read: list[int]) -> None:
    assert windows.steps_read(range(0, 601, 100), {"baseline": baseline, "generalised": generalised}) == read


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30, unique=True), st.integers(0, 1000), st.integers(0, 1000))
def test_no_other_step_is_read(steps: list[int], baseline: int, generalised: int) -> None:
    moments = {"baseline": float(baseline), "generalised": float(generalised)}
    series = pd.Series({step: math.sin(step) for step in sorted(steps)})
    kept = windows.steps_read(series.index.tolist(), moments)
    some = windows.change_to_late_window(series.loc[kept], moments)
    assert some == pytest.approx(windows.change_to_late_window(series, moments), nan_ok=True)
