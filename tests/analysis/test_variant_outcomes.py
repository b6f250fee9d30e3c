"""Steps left to generalise, and levels of settings, in tables that are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import (
    AT,
    BATCH,
    DECAY,
    FRACTION,
    NEVER,
    RATE,
    conditions,
    decays,
    events,
    metrics,
)

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variant_outcomes import START, Rate

KICK = "branch.intervention.kick"


def settings(variants: dict[str, dict[str, Any]]) -> Any:
    return variant_outcomes.settings(conditions(variants))


def test_settings_are_read_back_as_they_were_written() -> None:
    flat = settings({"full": {BATCH: "full"}, "plain": {AT: "onset", "branch.lasts": None}})
    assert flat["full"][BATCH] == "full"
    assert flat["grokking"][DECAY] == 1.0
    assert flat["plain"]["branch.lasts"] is None
    assert AT not in flat["grokking"]


def test_steps_left_count_from_the_place_of_the_branch() -> None:
    """Grokking generalises at 2,000 and its onset is at 1,000 + r; the branch takes 300 steps from there."""
    table = events({"fast": {AT: "onset"}}, {"grokking": lambda r: 2000.0, "fast": lambda r: 300.0}, replicas=2)
    branch = variant_outcomes.left(table, "fast", "onset")
    assert branch["start"].tolist() == [1000, 1001]
    assert branch["steps"].tolist() == [300, 300]
    assert branch["after"].tolist() == [299, 299]
    assert variant_outcomes.left(table, "grokking", "onset")["steps"].tolist() == [1000, 999]
    assert variant_outcomes.left(table, "grokking", "step 500")["steps"].tolist() == [1500, 1500]
    assert variant_outcomes.left(table, "grokking", START)["steps"].tolist() == [2000, 2000]
    assert not branch["censored"].any()


def test_a_replica_that_had_generalised_before_the_place_has_no_steps_left() -> None:
    table = events({}, {"grokking": lambda r: 500.0}, replicas=1)
    assert variant_outcomes.left(table, "grokking", "onset")["steps"].isna().all()


def test_a_replica_that_never_got_to_the_place_has_no_steps_left() -> None:
    table = events({"fast": {AT: "onset"}}, {"grokking": lambda r: 2000.0, "fast": lambda r: 300.0}, replicas=2)
    table.loc[(table["event"] == "branched") & (table["replica"] == 1), "censored"] = True
    branch = variant_outcomes.left(table, "fast", "onset")
    assert branch["steps"].isna().tolist() == [False, True]
    assert math.isnan(branch["start"][1])


def test_a_censored_replica_counts_its_steps_to_the_end() -> None:
    table = events({}, {"grokking": lambda r: NEVER}, replicas=1)
    (row,) = variant_outcomes.left(table, "grokking", START).to_dict("records")
    assert row == {"start": 0.0, "after": 4000.0, "steps": 4000.0, "censored": True}


def test_levels_are_of_conditions_that_differ_in_that_number_alone() -> None:
    flat = settings(
        {
            "strong": {DECAY: 2.0},
            "none": {DECAY: 0.0},
            "both": {DECAY: 2.0, RATE: 0.1},
            "later": {DECAY: 2.0, AT: "onset"},
        }
    )
    assert list(variant_outcomes.levels(flat, DECAY).items()) == [("none", 0.0), ("grokking", 1.0), ("strong", 2.0)]


def test_a_full_batch_counts_all_training_examples() -> None:
    assert variant_outcomes.levels(settings({"full": {BATCH: "full"}}), BATCH) == {"grokking": 256, "full": 1024}


def test_fractions_are_given_by_weight_decay_the_largest_first() -> None:
    flat = settings({"few": {FRACTION: 0.4}, "few_strong": {FRACTION: 0.4, DECAY: 2.0}, "strong": {DECAY: 2.0}})
    by_fraction = variant_outcomes.by_fraction(flat)
    assert list(by_fraction) == [2.0, 1.0]
    assert by_fraction == {2.0: {0.4: "few_strong", 0.65: "strong"}, 1.0: {0.4: "few", 0.65: "grokking"}}


@pytest.mark.parametrize("power", [-1.0, 0.5])
def test_the_slope_is_the_power_and_leaves_level_0_out(power: float) -> None:
    tables = decays(power)
    levels = variant_outcomes.levels(variant_outcomes.settings(tables["conditions"]), DECAY)
    assert levels["decay_0"] == 0.0
    slopes = variant_outcomes.slope(tables["events"], levels)
    assert len(slopes.values) == 5
    assert slopes.values.mean() == pytest.approx(power, abs=0.02)
    assert slopes.fitted == (np.log(0.5), 0.0, np.log(2.0))


def test_curves_have_both_splits_and_are_empty_without_rows() -> None:
    table = metrics({}, {"grokking": lambda since: (1.0, since / 4000)}, replicas=2)
    curves = variant_outcomes.curves(table, "grokking", 1)
    assert curves["validation"][2000] == 0.5
    assert (curves["train"] == 1).all()
    assert curves.index.is_monotonic_increasing
    assert variant_outcomes.curves(table, "grokking", 7).empty


def test_the_log_ratio_is_missing_where_either_is_censored() -> None:
    first = pd.DataFrame({"steps": [100.0, 200.0, 300.0], "censored": [False, True, False]})
    other = pd.DataFrame({"steps": [10.0, 20.0, 30.0], "censored": [False, False, True]})
    ratio = variant_outcomes.log_ratio(first, other)
    assert ratio[0] == pytest.approx(1.0)
    assert np.isnan(ratio[1:]).all()


def test_rates_are_named_by_what_else_they_change() -> None:
    flat = settings(
        {
            "fast": {RATE: 1e-2},
            "held": {AT: "onset", RATE: 1e-2, DECAY: 0.1},
            "odd": {AT: "onset", RATE: 5e-3, DECAY: 0.1},
            "annealed": {AT: "onset", RATE: 5e-3, "branch.lasts": 100, "branch.then": "anneal"},
            "stopping": {AT: "onset", RATE: 3e-3, "branch.lasts": 100, "branch.then": "stop"},
            "brief": {AT: "onset", RATE: 2e-3, "branch.lasts": 100},
            "kicked": {AT: "memorised", KICK: 0.1},
            "strong": {DECAY: 2.0},
        }
    )
    rates = variant_outcomes.rates(flat)
    assert {rate.condition: rate.how for rate in rates} == {
        "kicked": "kick",
        "brief": "for a while",
        "odd": "with another decay",
        "stopping": "free",
        "annealed": "annealed",
        "fast": "free",
        "held": "held",
    }
    assert [rate.multiplier for rate in rates] == pytest.approx([1, 2, 3, 5, 5, 10, 10])
    assert [rate.condition for rate in rates if not rate.is_branch] == ["fast"]


def test_rates_of_another_condition_are_of_its_branches_and_of_its_own_kind_from_the_start() -> None:
    task = {"task.formulas": ["x/y"]}
    flat = settings(
        {
            "division": task,
            "division_5": {AT: "onset", "branch.parent": "division", **task, RATE: 5e-3},
            "fast": {RATE: 1e-2},
            "slow": {RATE: 1e-4, "optimiser.warm_up": 100},
        }
    )
    assert variant_outcomes.rates(flat, "division") == [Rate("division_5", "onset", "free", pytest.approx(5.0))]
    assert [rate.condition for rate in variant_outcomes.rates(flat)] == ["slow", "fast"]
    assert {rate.condition: rate.multiplier for rate in variant_outcomes.rates(flat, "slow")} == pytest.approx(
        {"grokking": 10, "fast": 100}
    )
