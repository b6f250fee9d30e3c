"""Steps at which training keeps weights and metrics, by hand and as invariants."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_circuits.training.schedule import Schedule, Spacing, evenly_chosen, log_spaced


def test_steps_are_spaced_geometrically_and_evenly_at_a_worked_example():
    # 8⁰, 8^⅓, 8^⅔ = 1, 2, 4; every third below 8 = 0, 3, 6; and the last
    assert Spacing(log=3, every=3).steps(8) == [0, 1, 2, 3, 4, 6, 8]


@pytest.mark.parametrize(
    ("spacing", "last", "expected"),
    [
        (Spacing(log=1, every=100), 10, [0, 1, 10]),
        (Spacing(log=1, every=4), 8, [0, 1, 4, 8]),
        (Spacing(log=4, every=1000), 10_000, [0, 1, 10, 100, *range(1000, 10_001, 1000)]),
        (Spacing(log=30, every=50), 1, [0, 1]),
        (Spacing(log=1, every=1), 3, [0, 1, 2, 3]),
    ],
)
def test_steps_of_short_and_long_runs_by_hand(spacing, last, expected):
    assert spacing.steps(last) == expected


@given(st.integers(1, 60), st.integers(1, 500), st.integers(1, 100_000))
def test_steps_ascend_from_zero_to_the_last_through_every_multiple(log, every, last):
    steps = Spacing(log, every).steps(last)
    assert steps[0] == 0
    assert steps[-1] == last
    assert all(before < after for before, after in itertools.pairwise(steps))
    assert set(range(0, last + 1, every)) <= set(steps)
    assert len(set(steps) - set(range(0, last, every)) - {last}) <= log


@pytest.mark.parametrize(
    ("how_many", "expected"),
    [
        (None, [0, 1, 3, 5, 10, 12, 20]),
        (1, [20]),
        (2, [0, 20]),
        (3, [0, 5, 20]),
        (4, [0, 3, 10, 20]),
        (7, [0, 1, 3, 5, 10, 12, 20]),
        (100, [0, 1, 3, 5, 10, 12, 20]),
    ],
)
def test_chosen_steps_are_even_by_position_and_include_both_ends(how_many, expected):
    assert evenly_chosen([0, 1, 3, 5, 10, 12, 20], how_many) == expected


def test_as_many_steps_are_chosen_as_are_asked_for_without_repeats():
    for n in range(2, 60):
        steps = list(range(0, 7 * n, 7))
        for how_many in range(2, n + 1):
            chosen = evenly_chosen(steps, how_many)
            assert len(chosen) == len(set(chosen)) == how_many
            assert (chosen[0], chosen[-1]) == (steps[0], steps[-1])
            assert chosen == sorted(chosen)


def test_geometric_steps_that_round_to_one_number_are_kept_once():
    """Ten steps from 1 to 5 round to 1, 2, 3 and 4: short runs have fewer checkpoints than asked for."""
    assert log_spaced(10, 5) == {0, 1, 2, 3, 4, 5}


def test_a_run_of_no_steps_has_its_start_alone():
    assert Spacing(log=4, every=10).steps(0) == [0]


@pytest.mark.parametrize(
    ("until", "generalised", "last"),
    [(None, 500.0, 2000), (1.5, 501.0, 751), (1.5, 1500.0, 2000), (1.5, math.nan, 2000), (0.5, 500.0, 250)],
)
def test_a_replica_ends_with_its_partner_but_not_after_its_schedule(until, generalised, last):
    assert Schedule(2000, Spacing(1, 100), Spacing(1, 100), until).last(generalised) == last


@pytest.mark.parametrize(("steps", "every"), [(0, 100), (3500, 100), (6000, 200), (40_000, 1000), (100_000, 2500)])
def test_a_run_keeps_about_forty_states_at_most(steps, every):
    assert Schedule(steps, Spacing(1, 100), Spacing(1, 100)).state_every == every


@pytest.mark.parametrize(("until", "whose", "waits", "ends_itself"), [
    (None, "partner", False, False), (1.5, "partner", True, False), (1.5, "own", False, True),
])  # fmt: skip
def test_a_run_waits_for_its_partner_only_where_that_ends_it(until, whose, waits, ends_itself):
    schedule = Schedule(2000, Spacing(1, 100), Spacing(1, 100), until, whose)
    assert (schedule.waits_for_partner, schedule.ends_itself) == (waits, ends_itself)
    assert schedule.end_key(750) == ("until 750" if waits else "")
