"""Moments: steps at which claims read weights, by hand, and as a control and its partner share them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moment_tables import moments_table, partners

from general_circuits.analysis.moments import (
    AROUND_ONSET,
    MOMENTS,
    accuracy_at,
    has_baseline,
    is_cut,
    moments,
    steps_of,
)

pytestmark = pytest.mark.filterwarnings("error")
NAN = float("nan")
GROKKING = {"memorised": 70.0, "onset": 900.0, "generalised": 1300.0}


def steps(own: float, partner: dict[str, float], last: int = 3000) -> dict[str, int]:
    rows = moments({"memorised": own}, partner, last)
    return dict(zip(rows["moment"], rows["step"], strict=True)) if len(rows) else {}


def test_the_moments_of_grokking_by_hand() -> None:
    assert steps(70, GROKKING) == {
        "baseline": 70,
        "memorised": 70,
        "onset": 900,
        "generalised": 1300,
        "before": 500,  # the rise takes 400 steps
        "after": 1700,
        "late_end": 1950,
    }


def test_a_window_before_onset_does_not_begin_before_memorisation() -> None:
    assert steps(70, {**GROKKING, "onset": 300.0})["before"] == 70


def test_a_control_is_read_at_its_partners_steps_but_not_before_it_has_memorised() -> None:
    late = steps(400, GROKKING)
    assert late["baseline"] == 400
    assert {name: step for name, step in late.items() if name != "baseline"} == {
        name: step for name, step in steps(70, GROKKING).items() if name != "baseline"
    }
    assert steps(50, GROKKING)["baseline"] == 70


def test_what_follows_from_a_censored_event_did_not_happen() -> None:
    assert steps(70, {**GROKKING, "generalised": NAN}) == {"baseline": 70, "memorised": 70, "onset": 900}
    assert "baseline" not in steps(NAN, GROKKING)
    assert "baseline" not in steps(70, {**GROKKING, "memorised": NAN})
    assert "before" not in steps(NAN, GROKKING)
    assert steps(NAN, dict.fromkeys(GROKKING, NAN)) == {}


def test_a_moment_after_the_end_of_training_is_moved_there_and_flagged() -> None:
    rows = moments({"memorised": 70.0}, GROKKING, 1800).set_index("moment")
    assert (rows.loc["late_end", "step"], bool(rows.loc["late_end", "is_cut"])) == (1800, True)
    assert not rows.drop("late_end")["is_cut"].any()


@given(st.integers(1, 500), st.integers(1, 500), st.integers(0, 1000), st.integers(0, 1000))
def test_moments_are_in_the_order_of_training(own: int, memorised: int, wait: int, rise: int) -> None:
    partner = {"memorised": memorised, "onset": memorised + wait, "generalised": memorised + wait + rise}
    found = steps(own, partner, last=10_000)
    assert found["baseline"] >= found["memorised"]
    assert found["onset"] <= found["generalised"] <= found["after"]
    assert found["generalised"] <= found["late_end"] == math.floor(1.5 * partner["generalised"])
    assert found["before"] >= found["baseline"]


def test_steps_are_a_row_per_replica_and_leave_steps_around_onset_out() -> None:
    table = moments_table(partners(3, GROKKING, censored=[1]), {"grokking": 70.0, "control": 100.0}, 3000)
    around = table[:1].assign(moment=AROUND_ONSET, step=5)
    found = steps_of(pd.concat([table.astype({"moment": str}), around]), "control")
    assert list(found.columns) == list(MOMENTS)
    assert found["baseline"].tolist() == [100, 100, 100]
    assert np.isnan(found["generalised"].tolist()).tolist() == [False, True, False]


def test_a_condition_without_any_moment_has_no_rows() -> None:
    table = moments_table(partners(2, GROKKING), {"grokking": 70.0}, 3000)
    assert steps_of(table, "unknown").empty
    assert accuracy_at(table, "unknown").empty


def test_a_baseline_needs_a_memorised_network_before_its_partner_generalised() -> None:
    table = moments_table(
        partners(2, GROKKING),
        {"grokking": 70.0, "in time": 100.0, "late": 1300.0, "never": NAN, "unsure": 70.0},
        3000,
        accuracy={"unsure": 0.98},
    )
    assert {name: has_baseline(table, name).tolist() for name in ("in time", "late", "never", "unsure")} == {
        "in time": [True, True],
        "late": [False, False],
        "never": [False, False],
        "unsure": [False, False],
    }


def test_late_windows_that_training_cut_are_told_by_replica() -> None:
    later = partners(2, GROKKING)
    later.loc[1, "generalised"] = 2400.0
    assert is_cut(moments_table(later, {"grokking": 70.0}, 3000), "grokking").tolist() == [False, True]
