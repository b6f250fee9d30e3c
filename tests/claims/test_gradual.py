"""Verdicts on rises of accuracy that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import variant_tables
from rise_tables import events, rising, table
from verdict_tables import by_contrast

from general_circuits.analysis import variant_outcomes
from general_circuits.claims import gradual
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, Finding

PERTURBED = {"moved": {"perturbation": 1e-7}}


def judged(metrics: pd.DataFrame, of: pd.DataFrame) -> dict[str, Finding]:
    tables = {"metrics": metrics, "events": of, "conditions": variant_tables.conditions({})}
    return by_contrast(gradual.judge(tables))


@pytest.mark.parametrize(
    ("start", "end", "verdict"), [(300, 3000, SUPPORTED), (2000, 2400, CONTRADICTED), (1500, 2600, BETWEEN)]
)
def test_a_rise_is_gradual_by_its_share_of_the_time(start: int, end: int, verdict: str) -> None:
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(start, end))
    finding = judged(metrics, events())["registered"]
    assert finding.verdict == verdict
    length = end - start
    assert finding.estimate.mean == pytest.approx(0.9 * length / (start + 0.95 * length), abs=0.005)


@pytest.mark.parametrize(("censored", "verdict"), [(1, BETWEEN), (2, NOT_TESTABLE)])
def test_at_most_a_fifth_of_the_rises_may_not_end(censored: int, verdict: str) -> None:
    some = table(train_accuracy=rising(0, 100), validation_accuracy=rising(1500, 2600))
    never = (some["replica"] < censored) & (some["split"] == "validation")
    finding = judged(some.assign(accuracy=some["accuracy"].where(~never, 0.0)), events())["registered"]
    assert finding.verdict == verdict
    assert len(finding.values) == (0 if verdict == NOT_TESTABLE else 5)
    if verdict == NOT_TESTABLE:
        assert "rose by 95 % in 3 of 5 replicas" in finding.sentence


@pytest.mark.parametrize(("onset", "verdict"), [(200, SUPPORTED), (199, NOT_TESTABLE), (None, NOT_TESTABLE)])
def test_without_a_delay_there_is_nothing_to_judge(onset: int | None, verdict: str) -> None:
    """Training examples are memorised at step 100."""
    metrics = table(train_accuracy=rising(0, 100), validation_accuracy=rising(300, 3000))
    finding = judged(metrics, events(onset=onset))["registered"]
    assert finding.verdict == verdict
    assert ("in 0 of 5 replicas" in finding.sentence) == (verdict == NOT_TESTABLE)


def test_controls_stand_beside_with_their_share_and_the_ratio_of_their_rises() -> None:
    """Both rises are linear: 2,000 steps against 100, so their ratio is 20."""
    both = pd.concat(
        [
            table(name, train_accuracy=rising(0, 100), validation_accuracy=rising(1000, 3000))
            for name in ("grokking", "no_delay")
        ]
    )
    of_both = pd.concat([events().assign(condition=name) for name in ("grokking", "no_delay")])
    findings = judged(both, of_both)
    assert findings["in no_delay"].estimate.mean == pytest.approx(findings["registered"].estimate.mean)
    ratio = "rise of validation over rise of training accuracy"
    for contrast in (ratio, f"{ratio} in no_delay"):
        assert findings[contrast].estimate.mean == pytest.approx(np.log10(20), abs=0.02)


def test_chaos_stands_beside_the_spread_over_seeds() -> None:
    """t_g is 10^(3 + seed/10); moving the weights makes it longer by a factor of 10^0.1, or shorter, in turn."""
    times = {
        "grokking": lambda replica: 10 ** (3 + replica / 10),
        "moved": lambda replica: 10 ** (3 + replica / 10 + 0.1 * (-1) ** replica),
    }
    tables = variant_tables.study(PERTURBED, times)
    findings = by_contrast(gradual.judge({**tables, "metrics": tables["metrics"].assign(distance=0.0)}))
    moved = findings["log10 t_g, moved over grokking"].values
    assert moved == pytest.approx([0.1, -0.1, 0.1, -0.1, 0.1])
    chaos = findings["chaos: spread of log10 t_g from moving the initial weights by 1e-07"]
    assert chaos.estimate.mean == pytest.approx(0.1 / np.sqrt(2))
    seeds = findings["spread of log10 t_g over seeds"]
    assert seeds.estimate.mean == pytest.approx((0.2 + 0.1 + 0 + 0.1 + 0.2) / 5 * np.sqrt(5 / 4))
    assert not any(contrast.startswith("in moved") for contrast in findings)


def test_both_spreads_are_equal_where_chaos_makes_all_of_the_spread() -> None:
    """Two thousand seeds, with times drawn anew after the weights moved: both spreads are 0.8 standard deviations."""
    draws = np.random.default_rng(0).normal(3, 0.1, (2, 2000))
    times = {
        name: lambda replica, of=of: 10 ** of[replica] for name, of in zip(("grokking", "moved"), draws, strict=True)
    }
    conditions = variant_tables.conditions(PERTURBED)
    of = variant_tables.events(PERTURBED, times, replicas=2000)
    found = {
        finding.contrast.split(" ")[0]: finding.estimate.mean
        for finding in gradual._chaos(of, variant_outcomes.settings(conditions), ["moved"])
    }
    assert found["chaos:"] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.05)
    assert found["spread"] == pytest.approx(found["chaos:"], rel=0.07)
