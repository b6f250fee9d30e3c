"""Verdicts on learning rates whose effect is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from variant_tables import AT, DECAY, NEVER, RATE, study
from verdict_tables import by_contrast

from general_circuits.claims import learning_rate
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding
from general_circuits.config.load import load
from general_circuits.pipeline.dag import Dag

TIMES = (2, 5, 10)
LEFT = 2000
"""Steps that grokking takes from onset until it generalises."""
PARENT = "branch.parent"
Variants = Mapping[str, Mapping[str, Any]]
Left = Callable[[int], float]


def noise(replica: int, multiplier: float) -> float:
    """Return noise of log steps, whose mean over replicas is 0."""
    return 0.05 * np.sin(2 * np.pi * replica / 5 + multiplier)


def noisy(steps: float, multiplier: float) -> Left:
    """Return steps left with noise, by replica."""
    return lambda replica: steps * np.exp(noise(replica, multiplier))


def rates(at: str = "onset", times: tuple[float, ...] = TIMES, decay: float = 1.0) -> dict[str, dict[str, Any]]:
    return {f"times_{n:g}_{at.replace(' ', '_')}": {AT: at, RATE: n * 1e-3, DECAY: decay} for n in times}


def tables(
    slope: float,
    replicas: int = 5,
    others: Variants | None = None,
    left: Mapping[str, Left] | None = None,
    curves: Mapping[str, Any] | None = None,
    times: tuple[float, ...] = TIMES,
    every: int = 100,
) -> dict[str, pd.DataFrame]:
    """Build a study in which the steps left from onset on go as this power of the multiplier.

    Args:
        slope: the power.
        replicas: number of replicas.
        others: other variants. They take 500 steps, where `left` does not say otherwise.
        left: steps left by variant, where they differ.
        curves: accuracies by variant, as for `variant_tables.metrics`.
        times: multipliers of the branches at onset.
        every: steps between evaluations.
    """
    variants = {**rates(times=times), **(others or {})}
    steps: dict[str, Left] = {"grokking": lambda replica: 1000 + replica + LEFT}
    for n, name in zip(times, rates(times=times), strict=True):
        steps[name] = noisy(LEFT * n**slope, n)
    steps |= dict.fromkeys(others or {}, lambda replica: 500.0)
    return study(variants, {**steps, **(left or {})}, curves, replicas, every)


def judged(slope: float, **more: Any) -> dict[str, Finding]:
    return by_contrast(learning_rate.judge(tables(slope, **more)))


# Speed.


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [(-1.0, SUPPORTED), (-0.95, SUPPORTED), (-0.5, BETWEEN), (0.0, CONTRADICTED), (0.1, CONTRADICTED)],
)
def test_the_verdict_on_speed_is_that_of_the_slope(slope: float, verdict: str) -> None:
    found = judged(slope)["registered, speed"]
    assert found.verdict == verdict
    assert found.estimate.mean == pytest.approx(slope, abs=0.03)
    assert found.estimate.n == len(found.values) == 5
    assert "at a base rate of 0.001" in found.sentence
    assert "The rates are ×1, ×2, ×5, ×10. Over all 5 replicas" in found.sentence


def test_two_replicas_are_undecided() -> None:
    assert judged(-1.0, replicas=2)["registered, speed"].verdict == UNDECIDED


def test_a_rate_at_which_nothing_generalises_gives_a_bound_and_leaves_the_slope() -> None:
    """No replica generalises in 3,000 steps at half of the rate, and the planted power is −1 all the same."""
    never = {"times_0.5_onset": lambda replica: NEVER}
    found = judged(-1.0, times=(0.5, 2, 5, 10), left=never)["registered, speed"]
    assert found.estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert found.verdict == SUPPORTED
    assert "The rates are ×1, ×2, ×5, ×10. A bound alone comes from ×0.5, where no replica" in found.sentence


def test_a_bound_that_excludes_the_verdict_makes_it_not_testable() -> None:
    """The network at ×10 lives, and does not generalise in 3,000 steps. By the slope it would need 200."""
    found = judged(-1.0, left={"times_10_onset": lambda replica: NEVER})["registered, speed"]
    assert found.verdict == NOT_TESTABLE
    assert "up to ×10, where no replica generalises" in found.sentence


def test_a_slope_needs_three_rates() -> None:
    found = judged(-1.0, times=(0.5, 10), left={"times_0.5_onset": lambda replica: NEVER})["registered, speed"]
    assert found.verdict == NOT_TESTABLE
    assert "fewer than 3 rates: ×1, ×10" in found.sentence


@pytest.mark.parametrize("lost", [2, 3])
def test_at_most_a_fifth_of_the_times_may_be_censored(lost: int) -> None:
    """Four rates and five replicas have 20 times. Two or three of ×2, and two of ×1, are censored."""
    left = {
        "times_2_onset": lambda replica: NEVER if replica < lost else noisy(1000, 2)(replica),
        "grokking": lambda replica: NEVER if replica < 2 else 1000 + replica + LEFT,
    }
    found = judged(-1.0, left=left)["registered, speed"]
    assert (found.verdict == NOT_TESTABLE) == (lost == 3)
    assert ("25% of the steps left are censored" in found.sentence) == (lost == 3)


def dead(since: float) -> tuple[float, float]:
    """Return accuracies of a network that the change destroys."""
    return (1.0, 0.0) if since == 0 else (0.02, 0.01)


def test_a_destroyed_network_is_not_a_slow_one() -> None:
    """Nothing is left of the networks at ×50, so the rate has no part in the slope."""
    name = "times_50_onset"
    found = judged(-1.0, times=(*TIMES, 50), left={name: lambda r: NEVER}, curves={name: dead})
    assert found["registered, speed"].estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert "These destroy the network: ×50." in found["registered, speed"].sentence
    assert found["alive, ×50 at onset, free"].values == (0.0,) * 5
    assert found["alive, ×10 at onset, free"].values == (1.0,) * 5


def test_a_base_whose_tenfold_rate_destroys_the_network_cannot_be_judged() -> None:
    others = rates("memorised")
    of_both = dict.fromkeys(("times_10_onset", "times_10_memorised"), dead)
    found = judged(-1.0, others=others, left=dict.fromkeys(of_both, lambda replica: NEVER), curves=of_both)
    for name in ("speed", "dip", "joint rise"):
        finding = found[f"registered, {name}"]
        assert finding.verdict == NOT_TESTABLE
        assert finding.sentence == (
            "Not testable: ten times the rate of 0.001 destroys the network in 5 of 5 replicas."
        )


def test_without_ten_times_the_rate_nothing_can_be_judged() -> None:
    found = judged(-1.0, times=(2, 5))
    for name, at in (("speed", "onset"), ("dip", "memorised"), ("joint rise", "memorised")):
        assert found[f"registered, {name}"].verdict == NOT_TESTABLE
        assert f"no branch of grokking at {at} with ten times" in found[f"registered, {name}"].sentence


def test_replicas_that_do_not_come_to_onset_cannot_be_judged() -> None:
    of = tables(-1.0)
    events = of["events"]
    came = (events["event"] == "onset") & (events["condition"] == "grokking") & (events["replica"] < 2)
    of["events"] = events.assign(censored=events["censored"] | came)
    found = by_contrast(learning_rate.judge(of))["registered, speed"]
    assert "grokking came to onset in 3 of 5 replicas" in found.sentence


# The base.


def test_the_slowest_base_is_judged_and_grokking_stands_beside_it() -> None:
    """The slow base has the power −1, grokking the power −0.5; grokking is also ten times the slow rate."""
    slow = {"slow": {RATE: 1e-4}}
    of_slow = {f"slow_{n}": {AT: "onset", PARENT: "slow", RATE: n * 1e-4} for n in (2, 10)}
    left: dict[str, Left] = {"slow": lambda replica: 1000 + replica + LEFT}
    for n in (2, 10):
        left[f"slow_{n}"] = noisy(LEFT / n, n)
    found = judged(-0.5, others={**slow, **of_slow}, left=left)
    assert found["registered, speed"].verdict == SUPPORTED
    assert found["registered, speed"].estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert "at a base rate of 0.0001" in found["registered, speed"].sentence
    assert found["slope from onset of grokking, free"].estimate.mean == pytest.approx(-0.5, abs=0.03)
    assert "steps left, ×10 at step 0, free" in found
    assert "alive, ×5 at onset of grokking, free" in found
    assert not any("step 0 of grokking" in contrast for contrast in found)


def test_the_claim_reads_the_slow_base_its_branches_and_its_kicks() -> None:
    def branch(at: str, **change: object) -> dict[str, object]:
        return {"branch": {"from": "slow", "at": at, "change": change}}

    conditions = {
        "grokking": {},
        "slow": {"learning_rate": 1e-4, "warm_up": 100, "steps": 90000},
        "slow_10": branch("onset", learning_rate="x10"),
        "slow_50": branch("memorised", learning_rate="x50"),
        "slow_held": branch("onset", learning_rate="x10", weight_decay="x0.1"),
        "slow_kicked": branch("memorised", kick="slow_50"),
        "slow_masked": branch("memorised", mask=0.5),
        "strong": {"weight_decay": 3.0},
    }
    dag = Dag(load({"study": "tiny", "conditions": conditions}))
    assert dag.claim_conditions("learning_rate") == list(conditions)[:6]
    assert dag.lacks("learning_rate") == ""


def test_branches_of_other_tasks_stand_beside_it() -> None:
    """Their slope is from their own parent's onset on, whatever grokking's is."""
    task = {"task.formulas": ["x/y"]}
    of_division = {AT: "onset", PARENT: "division", **task}
    others = {"division": task, **{f"division_{n}": {**of_division, RATE: n * 1e-3} for n in (5, 10)}}
    left: dict[str, Left] = {"division": lambda replica: 3000.0 + replica}
    for n in (5, 10):
        left[f"division_{n}"] = noisy(LEFT * n**-0.5, n)
    found = judged(-1.0, others=others, left=left)
    assert found["registered, speed"].estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert found["slope from onset of division, free"].estimate.mean == pytest.approx(-0.5, abs=0.03)


def test_branches_from_elsewhere_or_with_another_decay_stand_beside_it() -> None:
    others = {**rates("memorised"), **rates("step 300", decay=0.1), "fast": {RATE: 1e-2}}
    others["held"] = {AT: "onset", RATE: 1e-2, DECAY: 0.1}
    found = judged(-1.0, others=others)
    assert found["registered, speed"].estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert {name for name in found if name.startswith("slope")} == {
        "slope from memorised, free",
        "slope from step 300, with another decay",
        "slope from step 300, held",
        "slope from step 0, free",
        "slope from onset, held",
    }
    ratio = found["steps left, ×10 at onset, held"].estimate
    assert ratio.mean == pytest.approx(np.log10(500 / LEFT), abs=1e-9)


# The shift of the mode.


def dips(to: float, gap: float, steps: float = 1000) -> Any:
    """Return a curve: training accuracy falls to `to`, rises in `steps`, and is `gap` above validation accuracy."""

    def accuracies(since: float) -> tuple[float, float]:
        train = 1.0 if since == 0 else min(1.0, to + (1 - to) * since / steps)
        return train, max(0.0, train - gap)

    return accuracies


def shifted(curve: Any, **more: Any) -> dict[str, Finding]:
    """Return findings where ten times the rate at t_m has these accuracies."""
    others = {"tenfold": {AT: "memorised", RATE: 1e-2}, **more.pop("others", {})}
    return judged(-0.5, others=others, curves={"tenfold": curve, **more.pop("curves", {})}, every=20, **more)


@pytest.mark.parametrize(
    ("curve", "dip", "rise"),
    [
        (dips(0.2, 0.02), SUPPORTED, SUPPORTED),
        (dips(0.2, 0.15), SUPPORTED, BETWEEN),
        (dips(0.2, 0.5), SUPPORTED, CONTRADICTED),
        (dips(0.84, 0.02), BETWEEN, NOT_TESTABLE),
        (lambda since: (1.0, 0.0), CONTRADICTED, NOT_TESTABLE),
        (lambda since: (0.1 if 300 < since < 500 else 1.0, 0.0), CONTRADICTED, NOT_TESTABLE),
    ],
    ids=["both together", "somewhat apart", "training alone", "a small dip", "no dip", "a later dip"],
)
def test_dip_and_joint_rise_are_judged_apart(curve: Any, dip: str, rise: str) -> None:
    found = shifted(curve)
    assert found["registered, dip"].verdict == dip
    assert found["registered, joint rise"].verdict == rise
    if rise == NOT_TESTABLE:
        assert "training accuracy falls by 0.2 in 0 of 5 replicas" in found["registered, joint rise"].sentence


def test_the_way_back_is_measured_from_the_lowest_point() -> None:
    """Accuracy falls to nearly 0.2 at the first evaluation, and is 0.99 at the one after step 987 of the branch."""
    kicked = {"kicked": {AT: "memorised", "branch.intervention.kick": "tenfold"}}
    curves = {"kicked": lambda since: (0.28 if since < 100 else 1.0, 0.0)}
    found = shifted(dips(0.2, 0.02), others=kicked, curves=curves)
    assert found["dip, ×10 at memorised, free"].estimate.mean == pytest.approx(0.79, abs=0.01)
    assert found["gap, ×10 at memorised, free"].estimate.mean == pytest.approx(0.02, abs=1e-9)
    assert found["gap half way, ×10 at memorised, free"].estimate.mean == pytest.approx(0.02, abs=1e-9)
    assert found["recovery, ×10 at memorised, free"].estimate.mean == pytest.approx(np.log10(980 / 202), abs=0.01)
    assert found["dip, kick at memorised"].estimate.mean == pytest.approx(0.72, abs=1e-9)
    assert found["gap, kick at memorised"].estimate.mean == pytest.approx((98 * 0.28 + 20 * 0.64) / 118, abs=0.01)


@pytest.mark.parametrize(("died", "dip"), [(1, SUPPORTED), (2, NOT_TESTABLE)])
def test_networks_that_die_have_no_dip_and_at_most_a_fifth_may(died: int, dip: str) -> None:
    others = {"tenfold": {AT: "memorised", RATE: 1e-2}}
    of = tables(-0.5, others=others, curves={"tenfold": dips(0.2, 0.02)}, every=20)
    metrics = of["metrics"]
    late = (metrics["condition"] == "tenfold") & (metrics["replica"] < died) & (metrics["step"] > 300)
    of["metrics"] = metrics.assign(diverged=late)
    found = by_contrast(learning_rate.judge(of))
    assert found["registered, dip"].verdict == dip
    assert found["registered, dip"].estimate.n == (4 if died == 1 else 0)
    assert found["dip, ×10 at memorised, free"].estimate.n == 5


def test_a_dip_needs_ten_evaluations_in_200_steps() -> None:
    others = {"tenfold": {AT: "memorised", RATE: 1e-2}}
    of = tables(-0.5, others=others, curves={"tenfold": dips(0.2, 0.02)}, every=20)
    metrics = of["metrics"]
    of["metrics"] = metrics[(metrics["step"] % 100 == 0) | (metrics["step"] < 300)]
    found = by_contrast(learning_rate.judge(of))
    for name in ("dip", "joint rise"):
        assert found[f"registered, {name}"].verdict == NOT_TESTABLE
        assert "evaluations in its first 200 steps" in found[f"registered, {name}"].sentence
