"""Bases, living networks, bounds and shifts of the mode, in runs that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from variant_tables import AT, NEVER, RATE, conditions, events, metrics

from general_circuits.analysis import rate_change, variant_outcomes

PARENT = "branch.parent"
TENFOLD = {"tenfold": {AT: "memorised", RATE: 1e-2}}
Curve = Callable[[float], tuple[float, float]]


def found(curve: Curve, replicas: int = 1, left: float = 500.0) -> tuple[rate_change.Shift, bool]:
    """Return the first replica's shift, and whether it lives, in a branch at t_m = 200 with these accuracies."""
    of = events(TENFOLD, {"grokking": lambda replica: 2000.0, "tenfold": lambda replica: left}, replicas)
    table = metrics(TENFOLD, {"tenfold": curve}, replicas, every=10)
    shift = rate_change.shifts(of, table, "tenfold", "grokking")[0]
    return shift, bool(rate_change.alive(of, table, "tenfold")[0])


def dips(to: float, gap: float, falls: float = 50, rises: float = 1000) -> Curve:
    """Return a curve: training accuracy falls to `to`, rises, and is `gap` above validation accuracy."""

    def accuracies(since: float) -> tuple[float, float]:
        train = 1 - (1 - to) * since / falls if since < falls else min(1.0, to + (1 - to) * (since - falls) / rises)
        return train, train - gap

    return accuracies


# The base.


@pytest.mark.parametrize(
    ("variants", "base"),
    [
        ({}, "grokking"),
        ({"slow": {RATE: 1e-4}}, "grokking"),
        ({"slow": {RATE: 1e-4, "optimiser.warm_up": 99}, "b": {PARENT: "slow", AT: "onset", RATE: 1e-3}}, "slow"),
        ({"slow": {RATE: 1e-4}, "b": {PARENT: "slow", AT: "onset", RATE: 1e-4}}, "grokking"),
        ({"slow": {RATE: 1e-4, "split.split_by": "example"}, "b": {PARENT: "slow", AT: "onset"}}, "grokking"),
        (
            {
                "slow": {RATE: 1e-4},
                "slower": {RATE: 1e-5},
                "b": {PARENT: "slow", AT: "onset"},
                "c": {PARENT: "slower", AT: "memorised"},
                "d": {AT: "onset", RATE: 1e-2},
            },
            "slower",
        ),
    ],
    ids=["nothing", "no branch", "slow", "no other rate", "another split", "the slowest"],
)
def test_the_base_is_the_slowest_of_grokkings_kind_that_has_branches_with_another_rate(
    variants: dict[str, dict[str, object]], base: str
) -> None:
    assert rate_change.slowest_base(variant_outcomes.settings(conditions(variants))) == base


# Life.


@pytest.mark.parametrize(
    ("curve", "lives"),
    [
        (dips(0.2, 0.02), True),
        (lambda since: (0.02 if since else 1.0, 0.02), False),
        (lambda since: (0.02 if since > 500 else 1.0, 0.02), True),
        (lambda since: (1.0 if since == 3500 else 0.5, 0.02), True),
        (lambda since: (1.0 if since == 2500 else 0.5, 0.02), False),
    ],
    ids=["comes back", "dies", "dies after t_g", "comes back late for a moment", "comes back too early"],
)
def test_a_network_lives_if_it_knows_its_examples_at_t_g_or_late(curve: Curve, lives: bool) -> None:
    """The branch has steps 200 to 4,000, and t_g is 500 steps after it left."""
    assert found(curve)[1] is lives


def test_a_network_that_diverges_does_not_live_and_one_that_never_left_neither() -> None:
    left = {"grokking": lambda replica: 2000.0, "tenfold": lambda replica: 500.0}
    of, table = events(TENFOLD, left, 3), metrics(TENFOLD, {}, 3)
    of_branch = table["condition"] == "tenfold"
    table["diverged"] = of_branch & (table["replica"] == 1) & (table["step"] == 4000)
    table = table[~(of_branch & (table["replica"] == 2))]
    assert rate_change.alive(of, table, "tenfold").to_dict() == {0: True, 1: False, 2: False}


# Bounds.


def bounds(base: Sequence[float], fast: Sequence[float]) -> dict[float, float]:
    """Return bounds where two replicas have these steps left from onset on, alone and at four times the rate."""
    variants = {"fast": {AT: "onset", RATE: 4e-3}}
    left = {"grokking": lambda replica: 1000 + replica + base[replica], "fast": lambda replica: fast[replica]}
    return rate_change.bounds(events(variants, left, 2), {"fast": 4.0, "grokking": 1.0}, "onset", "grokking")


def test_a_rate_at_which_nothing_generalises_bounds_the_slope_from_the_next_lower_rate() -> None:
    """Both replicas end without having generalised, 3,000 and 2,999 steps after their onset."""
    both = (np.log(3000 / 1000) + np.log(2999 / 1500)) / 2 / np.log(4)
    assert bounds([1000, 1500], [NEVER, NEVER]) == {4: pytest.approx(both)}
    assert bounds([1000, NEVER], [NEVER, NEVER]) == {4: pytest.approx(np.log(3) / np.log(4))}


def test_rates_with_times_and_the_lowest_one_bound_nothing() -> None:
    assert bounds([1000, 1500], [500, NEVER]) == {}
    assert bounds([NEVER, NEVER], [500, 500]) == {}


# Shifts of the mode.


def test_a_dip_and_the_way_back_are_those_that_were_planted() -> None:
    """Accuracy falls to 0.2 in 50 steps, and is 0.99 at step 987.5 of its rise: the evaluation of step 990."""
    shift, _ = found(dips(0.2, 0.03))
    assert shift.dip == pytest.approx(0.8)
    assert shift.gap == pytest.approx(0.03)
    assert shift.gap_half_way == pytest.approx(0.03)
    assert shift.recovery == pytest.approx(np.log10(990 / 200))
    assert shift.evaluations == 20


def test_the_difference_on_the_way_back_is_weighted_by_time() -> None:
    """Training accuracy rises linearly and validation accuracy stays: the mean is half of the difference at the end."""
    shift, _ = found(lambda since: (dips(0.0, 0.0)(since)[0], 0.0))
    assert shift.gap == pytest.approx(0.99 / 2, abs=0.001)


def test_a_fall_after_the_first_200_steps_is_no_dip() -> None:
    shift, _ = found(lambda since: (0.1 if 210 <= since < 400 else 1.0, 0.0))
    assert shift.dip == 0
    assert np.isnan(shift.gap)


def test_a_network_that_dies_has_a_dip_and_no_way_back() -> None:
    shift, lives = found(lambda since: (0.02 if since else 1.0, 0.01), left=1e6)
    assert not lives
    assert shift.dip == pytest.approx(0.98)
    assert np.isnan([shift.gap, shift.gap_half_way, shift.recovery]).all()


def test_a_kick_has_lowered_accuracy_at_the_first_evaluation() -> None:
    shift, _ = found(lambda since: (0.3 if since < 100 else 1.0, 0.0))
    assert shift.dip == pytest.approx(0.7)


def test_a_replica_that_never_left_has_no_values() -> None:
    of = events(TENFOLD, {"grokking": lambda replica: 2000.0, "tenfold": lambda replica: 500.0}, 2)
    of.loc[(of["event"] == "branched") & (of["replica"] == 1), "censored"] = True
    shifts = rate_change.shifts(of, metrics(TENFOLD, {}, 2), "tenfold", "grokking")
    assert len(shifts) == 2
    assert np.isnan([shifts[1].dip, shifts[1].evaluations]).all()
