"""Verdicts on learning rates whose effect is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from variant_tables import AT, DECAY, RATE, study

from general_circuits.claims import learning_rate
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding

TIMES = (2, 5, 10)
LEFT = 2000
"""Steps that grokking takes from onset until it generalises."""


def noise(replica: int, multiplier: float) -> float:
    """Return noise of log steps, whose mean over replicas is 0."""
    return 0.05 * np.sin(2 * np.pi * replica / 5 + multiplier)


def variants(at: str = "onset", **more: Any) -> dict[str, dict[str, Any]]:
    return {f"times_{times}_{at.replace(' ', '_')}": {AT: at, RATE: times * 1e-3, **more} for times in TIMES}


def judged(slope: float, replicas: int = 5, **more: Any) -> dict[str, Finding]:
    """Return findings by contrast, where steps left go as this power of the multiplier."""
    found = variants()
    left = {"grokking": lambda replica: 1000 + replica + LEFT}
    for times, name in zip(TIMES, found, strict=True):
        left[name] = lambda replica, times=times: LEFT * times**slope * np.exp(noise(replica, times))
    others = more.pop("others", {})
    left |= more.pop("left", {})
    tables = study({**found, **others}, left, more.pop("curves", None), replicas)
    return {finding.contrast: finding for finding in learning_rate.judge(tables)}


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [(-1.0, SUPPORTED), (-0.95, SUPPORTED), (-0.5, UNDECIDED), (0.0, CONTRADICTED), (0.1, CONTRADICTED)],
)
def test_the_verdict_on_speed_is_that_of_the_slope(slope: float, verdict: str) -> None:
    found = judged(slope)["registered, speed"]
    assert found.verdict == verdict
    assert found.estimate.mean == pytest.approx(slope, abs=0.03)
    assert found.estimate.n == 5
    assert (found.estimate.p_value < 0.05) == (verdict != UNDECIDED)
    assert "Over all 5 replicas" in found.sentence


def test_two_replicas_are_undecided() -> None:
    assert judged(-1.0, replicas=2)["registered, speed"].verdict == UNDECIDED


def test_rates_at_which_nothing_generalises_speak_against_the_rival() -> None:
    """Nothing generalises at ten times the rate, so the two smaller rates cannot support the rival."""
    found = judged(-1.0, left={"times_10_onset": lambda replica: 1e6})["registered, speed"]
    assert found.verdict != SUPPORTED


def test_replicas_that_diverge_are_counted() -> None:
    tables = study(variants(), {"grokking": lambda r: LEFT, **dict.fromkeys(variants(), lambda r: 100.0)})
    metrics = tables["metrics"]
    is_last = metrics["step"] == metrics["step"].max()
    lost = (metrics["condition"] == "times_10_onset") & (metrics["replica"] < 2) & is_last
    tables["metrics"] = metrics.assign(diverged=lost)
    found = {finding.contrast: finding.estimate for finding in learning_rate.judge(tables)}
    assert found["diverged, ×10 at onset, free"].mean == pytest.approx(0.4)
    assert found["diverged, ×5 at onset, free"].mean == 0.0


def test_branches_of_other_conditions_stand_beside_it() -> None:
    """Their slope is from their own parent's onset on, whatever grokking's is."""
    task = {"task.formulas": ["x/y"]}
    of_division = {AT: "onset", "branch.parent": "division", **task}
    others = {"division": task, **{f"division_{n}": {**of_division, RATE: n * 1e-3} for n in (5, 10)}}
    left = {"division": lambda replica: 3000.0 + replica}
    for n in (5, 10):
        left[f"division_{n}"] = lambda replica, n=n: (2000.0) * n**-0.5
    found = judged(-1.0, others=others, left=left)
    assert found["registered, speed"].estimate.mean == pytest.approx(-1.0, abs=0.03)
    assert found["slope from onset of division, free"].estimate.mean == pytest.approx(-0.5, abs=0.01)
    assert not any("division" in name for name in found if name.startswith("steps left"))


def test_branches_from_elsewhere_or_with_another_decay_stand_beside_it() -> None:
    others = {**variants("memorised"), **variants("step 300", **{DECAY: 0.1}), "fast": {RATE: 1e-2}}
    others["times_10_step_300"][DECAY] = 0.1
    others["held"] = {AT: "onset", RATE: 1e-2, DECAY: 0.1}
    left = {name: lambda replica: 500.0 for name in others}
    found = judged(-1.0, others=others, left=left)
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


def dips(to: float, gap: float, steps: float = 1000) -> Any:
    """Return a curve: training accuracy falls to `to`, rises in `steps`, and is `gap` above validation accuracy."""

    def accuracies(since: float) -> tuple[float, float]:
        train = 1.0 if since == 0 else min(1.0, to + (1 - to) * since / steps)
        return train, max(0.0, train - gap)

    return accuracies


@pytest.mark.parametrize(
    ("curve", "verdict"),
    [
        (dips(0.2, 0.02), SUPPORTED),
        (dips(0.2, 0.5), CONTRADICTED),
        (dips(0.9, 0.02), CONTRADICTED),
        (lambda since: (1.0, 0.0), CONTRADICTED),
        (lambda since: (1.0 if since == 0 else 0.02, 0.01), UNDECIDED),
    ],
    ids=["both together", "training alone", "a small dip", "no dip", "no way back"],
)
def test_the_verdict_on_a_shift_is_that_of_the_dip_and_of_the_way_back(curve: Any, verdict: str) -> None:
    others, left = {"tenfold": {AT: "memorised", RATE: 1e-2}}, {"tenfold": lambda replica: 500.0}
    found = judged(-0.5, others=others, left=left, curves={"tenfold": curve})["registered, mode shift"]
    assert found.verdict == verdict


def test_the_way_back_is_measured_from_the_lowest_point() -> None:
    """Accuracy falls to 0.28 at the first evaluation, 100 steps on, and is 0.99 after 1,000, five times t_m = 200."""
    others = {
        "tenfold": {AT: "memorised", RATE: 1e-2},
        "kicked": {AT: "memorised", "branch.intervention.kick": "tenfold"},
    }
    left = {name: lambda replica: 500.0 for name in others}
    curves = {"tenfold": dips(0.2, 0.02), "kicked": lambda since: (0.28 if since < 100 else 1.0, 0.0)}
    found = judged(-0.5, others=others, left=left, curves=curves)
    assert 1 - found["dip, ×10 at memorised, free"].estimate.mean == pytest.approx(0.28, abs=0.01)
    assert found["gap, ×10 at memorised, free"].estimate.mean == pytest.approx(0.02, abs=1e-9)
    assert found["recovery, ×10 at memorised, free"].estimate.mean == pytest.approx(np.log10(1000 / 202), abs=0.01)
    assert found["dip, kick at memorised"].estimate.mean == pytest.approx(0.72, abs=1e-9)
    assert found["gap, kick at memorised"].estimate.mean > 0.5


def test_an_accuracy_that_does_not_come_back_has_no_gap() -> None:
    others, left = {"tenfold": {AT: "memorised", RATE: 1e-2}}, {"tenfold": lambda replica: 1e6}
    curves = {"tenfold": lambda since: (1.0 if since == 0 else 0.02, 0.01)}
    found = judged(-0.5, others=others, left=left, curves=curves)["registered, mode shift"]
    assert "does not come back" in found.sentence
    assert found.estimate.n == 0


def test_without_a_tenfold_branch_a_shift_cannot_be_tested() -> None:
    assert judged(-1.0)["registered, mode shift"].verdict == NOT_TESTABLE
