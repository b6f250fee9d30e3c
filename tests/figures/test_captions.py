"""Words for numbers in descriptions; every value is worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from moment_tables import moments_table, partners

from general_circuits.figures import captions

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([350, 400, 375], "350 to 400"),
        ([350.2, 349.9], "350"),
        ([12345.0, np.nan], "12,345"),
        ([np.nan, np.nan], "–"),
        ([], "–"),
    ],
)
def test_a_span_goes_from_the_least_to_the_largest_known_value(values: Sequence[float], text: str) -> None:
    assert captions.span(values) == text


def test_a_span_has_the_given_format_and_one_end_if_both_look_alike() -> None:
    assert captions.span([0.991, 1.0], "{:.2f}") == "0.99 to 1.00"
    assert captions.span([0.998, 1.0], "{:.2f}") == "1.00"


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([350, 400], "at step 350 to 400"),
        ([350, np.nan, 400], "at step 350 to 400 in 2 of 3 replicas"),
        ([np.nan, 2000], "at step 2,000 in 1 of 2 replicas"),
        ([np.nan, np.nan], "in no replica"),
    ],
)
def test_an_event_is_reached_by_replicas_whose_step_is_known(steps: Sequence[float], text: str) -> None:
    assert captions.reached(pd.Series(steps, dtype=float)) == text


def series() -> pd.DataFrame:
    """Two replicas of grokking, and of a control whose value never changes."""
    values = {("grokking", 0): [0, 1, 3, 5], ("grokking", 1): [0, 2, 5, 7]}
    values |= {("random_labels", replica): [0.5] * 4 for replica in (0, 1)}
    frame = pd.DataFrame(
        [
            (*run, step, value)
            for run, line in values.items()
            for step, value in zip((0, 10, 20, 30), line, strict=True)
        ],
        columns=["condition", "replica", "step", "value"],
    )
    return frame.assign(condition=pd.Categorical(frame["condition"], categories=["grokking", "random_labels"]))


def moments(censored: Sequence[int] = (), memorised: float = 10) -> pd.DataFrame:
    """Grokking memorises at step 10 and generalises at step 20, except in the censored replicas.

    Args:
        censored: replicas that never leave the plateau.
        memorised: step at which random labels memorise.
    """
    steps = partners(2, {"memorised": 10, "onset": 15, "generalised": 20}, censored)
    return moments_table(steps, {"grokking": 10, "random_labels": memorised}, last=30)


def of_labels(value: Sequence[float]) -> pd.DataFrame:
    """Return `series` with these values of random labels at steps 0, 10, 20 and 30."""
    frame = series()
    is_control = frame["condition"] == "random_labels"
    frame.loc[is_control, "value"] = np.tile(value, 2)
    return frame


def test_means_are_at_the_baseline_and_over_the_late_window_at_groks_steps() -> None:
    """The mean at t_m is (1 + 2) / 2. Medians over [20, 30] are 4 and 6, and their mean is 5."""
    assert captions.from_memorised_to_late(series(), "value", moments(), "L-skewness") == (
        "Mean L-skewness over replicas, from t_m to the late window: grokking 1.50 to 5.00; random labels 0.50 to 0.50."
    )


def test_a_control_that_memorises_later_is_read_from_there() -> None:
    frame = of_labels([0.0, 1.0, 3.0, 4.0])
    assert "random labels 1.00 to 3.50." in captions.from_memorised_to_late(frame, "value", moments(), "value")
    later = captions.from_memorised_to_late(frame, "value", moments(memorised=20), "value")
    assert "random labels 3.00 to 3.50." in later


def test_a_baseline_that_was_not_measured_has_no_value() -> None:
    """Nothing is interpolated between checkpoints."""
    words = captions.from_memorised_to_late(series(), "value", moments(memorised=15), "value")
    assert "random labels – to 0.50." in words


def test_censored_replicas_are_left_out_and_a_dash_stands_for_no_replica() -> None:
    assert "grokking 1.50 to 4.00;" in captions.from_memorised_to_late(series(), "value", moments([1]), "value")
    assert "grokking 1.50 to –; random labels 0.50 to –." in captions.from_memorised_to_late(
        series(), "value", moments([0, 1]), "value"
    )


def test_without_grokking_there_are_no_steps_and_no_words() -> None:
    assert captions.from_memorised_to_late(series(), "value", moments()[:0], "value") == ""
