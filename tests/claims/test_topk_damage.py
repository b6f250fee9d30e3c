"""topk_damage on simulated tables: rises of damage and of its excess, and whether they are fastest in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from moment_tables import moments_table, partners, without
from scipy import stats

from general_circuits.analysis.decisions import LOOKS
from general_circuits.claims import topk_damage
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    Finding,
    part,
)
from general_circuits.registered import REGISTERED as REGISTERED_CHOICES

pytestmark = pytest.mark.filterwarnings("error")

STEPS = np.arange(0, 4001, 250)
EVENTS = {"memorised": 500.0, "onset": 1500.0, "generalised": 2250.0}
REGISTERED_ROWS = {**REGISTERED_CHOICES, "by": "mean_magnitude", "deletion": "zero", "dead_units": "included"}
DAMAGE, EXCESS, TIMING = (part(name) for name in ("damage", "excess", "timing"))
Curve = Callable[[str, str, int], np.ndarray]
"""Function: condition, ranking, replica → D over `STEPS`."""


def rising(before: float, during: float, after: float, start: float = 0.1) -> np.ndarray:
    """Return D over `STEPS`, which changes at these rates per 1,000 steps: before t_o, until t_g, and after t_g."""
    knots = np.array([0, EVENTS["onset"], EVENTS["generalised"], 4000])
    values = start + np.concatenate([[0], np.cumsum(np.array([before, during, after]) * np.diff(knots) / 1000)])
    return np.interp(STEPS, knots, values)


def tables(
    curve: Curve,
    replicas: int = 5,
    conditions: Sequence[str] = ("grokking",),
    censored: Sequence[int] = (),
    accuracy: Mapping[str, float] | None = None,
) -> dict[str, pd.DataFrame]:
    """Build the `moments` and `damage` tables; D of the two random draws lies on either side of the curve."""
    frames = []
    for condition in conditions:
        for replica in range(replicas):
            for ranking in ("top", "bottom", "random", "matched"):
                for draw, offset in ((0, 0.01), (1, -0.01)) if ranking == "random" else ((0, 0.0),):
                    names = {"condition": condition, "replica": replica, "ranking": ranking, "draw": draw}
                    area = curve(condition, ranking, replica) + offset
                    frames.append(pd.DataFrame({"step": STEPS, "area": area, **names}))
    damage = pd.concat(frames, ignore_index=True).assign(layer=0, **REGISTERED_ROWS)
    is_random = damage["ranking"] == "random"
    damage.loc[is_random, ["by", "method", "target", "normalisation"]] = "none"
    damage = damage.assign(margin_area=10 * damage["area"], matched_margin_area=2 * damage["area"])
    damage = damage.astype(dict.fromkeys(("ranking", *REGISTERED_ROWS), "category"))
    memorised = dict.fromkeys(conditions, EVENTS["memorised"])
    return {
        "moments": moments_table(partners(replicas, EVENTS, censored), memorised, int(STEPS[-1]), accuracy),
        "damage": damage.assign(condition=pd.Categorical(damage["condition"], categories=list(conditions))),
    }


def planted(top: np.ndarray, seed: int = 0, noise: float = 0.002, control: np.ndarray | None = None) -> Curve:
    """Return a curve: this D_top in grokking, `control` in controls, 0.1 under every other ranking; and noise."""
    generator = np.random.default_rng(seed)

    def curve(condition: str, ranking: str, replica: int) -> np.ndarray:
        exact = np.full(len(STEPS), 0.1)
        if ranking == "top":
            exact = top if condition == "grokking" or control is None else control
        return exact + noise * generator.normal(size=len(STEPS))

    return curve


def judged(given: dict[str, pd.DataFrame]) -> dict[str, Finding]:
    findings = topk_damage.judge(given)
    assert len({finding.contrast for finding in findings}) == len(findings)
    assert [finding.contrast for finding in findings if finding.verdict] == [DAMAGE, EXCESS, TIMING]
    return {finding.contrast: finding for finding in findings}


def verdicts(findings: Mapping[str, Finding]) -> list[str]:
    return [findings[contrast].verdict for contrast in (DAMAGE, EXCESS, TIMING)]


def test_a_rise_that_is_fastest_while_generalising_is_supported_in_each_part() -> None:
    findings = judged(tables(planted(rising(0.02, 0.4, 0.02))))
    assert verdicts(findings) == [SUPPORTED] * 3
    # From 500 to the late window's median step, 2,750: 0.02 + 0.3 + 0.01.
    for contrast in (DAMAGE, EXCESS):
        assert findings[contrast].estimate.mean == pytest.approx(0.33, abs=0.01)
        assert len(findings[contrast].values) == 5


def test_the_rates_by_hand() -> None:
    """The mean rate is 0.4 per 1,000 steps within [t_o, t_g], 0.02 before it and 0.05 after it.

    All differences of rates vary alike between replicas, so the smallest one is the least favourable.
    """

    def curve(condition: str, ranking: str, replica: int) -> np.ndarray:
        return rising(0.02, 0.39 + 0.01 * replica, 0.05) if ranking == "top" else np.full(len(STEPS), 0.1)

    findings = judged(tables(curve, replicas=3))
    assert findings["rate of damage while generalising minus before"].estimate.mean == pytest.approx(0.38, abs=1e-3)
    assert findings["rate of excess while generalising minus after"].estimate.mean == pytest.approx(0.35, abs=1e-3)
    assert findings[TIMING].estimate.mean == pytest.approx(0.35, abs=1e-3)


def test_a_fall_is_contradicted() -> None:
    assert verdicts(judged(tables(planted(rising(-0.02, -0.2, -0.02, start=0.6))))) == [CONTRADICTED] * 3


def test_a_small_rise_lies_between_the_thresholds() -> None:
    findings = judged(tables(planted(rising(0.01, 0.02, 0.01))))
    assert verdicts(findings)[:2] == [BETWEEN, BETWEEN]


def test_damage_that_random_deletion_does_too_is_no_excess() -> None:
    top = rising(0.02, 0.4, 0.02)
    generator = np.random.default_rng(0)
    findings = judged(tables(lambda *_: top + 0.002 * generator.normal(size=len(STEPS))))
    assert findings[DAMAGE].verdict == SUPPORTED
    assert findings[EXCESS].verdict != SUPPORTED
    assert abs(findings[EXCESS].estimate.mean) < 0.01


@pytest.mark.parametrize(
    ("top", "verdict", "when"),
    [
        (rising(0.1, 0.1, 0.1), UNDECIDED, ""),  # a steady rise, as margins grow
        (rising(0.4, 0.1, 0.0), CONTRADICTED, "before"),
        (rising(0.0, 0.1, 0.4), CONTRADICTED, "after"),
    ],
)
def test_a_rise_that_is_not_fastest_while_generalising_has_no_support_in_time(
    top: np.ndarray, verdict: str, when: str
) -> None:
    findings = judged(tables(planted(top)))
    assert findings[DAMAGE].verdict == SUPPORTED
    assert findings[TIMING].verdict == verdict
    assert f"minus {when}" in findings[TIMING].sentence


def test_controls_stand_beside_with_grokkings_rise_beyond_them() -> None:
    curve = planted(rising(0.02, 0.4, 0.02), control=rising(0.04, 0.04, 0.04))
    findings = judged(tables(curve, conditions=("grokking", "random_labels")))
    assert findings["excess loss of margin, rise"].estimate.mean == pytest.approx(3.3, abs=0.1)
    assert findings["excess loss of margin at matched logit scale, rise"].estimate.mean == pytest.approx(0.66, abs=0.02)
    assert findings["excess over the bottom k, rise"].estimate.mean == pytest.approx(0.33, abs=0.01)
    assert findings["rise of excess in random_labels"].estimate.mean == pytest.approx(0.09, abs=0.01)
    assert findings["rise of excess, minus random_labels"].estimate.mean == pytest.approx(0.24, abs=0.01)


def test_a_censored_replica_is_counted_not_used() -> None:
    findings = judged(tables(planted(rising(0.02, 0.4, 0.02)), censored=[2]))
    assert (findings[DAMAGE].verdict, findings[DAMAGE].estimate.n) == (SUPPORTED, 4)
    assert math.isnan(findings[DAMAGE].values[2])


def test_networks_that_did_not_grok_judge_nothing() -> None:
    findings = judged(tables(planted(rising(0.02, 0.4, 0.02)), censored=[0, 1]))
    assert verdicts(findings) == [NOT_TESTABLE] * 3
    assert "validation accuracy left its plateau in 3 of 5 replicas" in findings[DAMAGE].reason


def test_replicas_that_never_memorised_count() -> None:
    given = tables(planted(rising(0.02, 0.4, 0.02)))
    one = judged({**given, "moments": without(given["moments"], [3])})[DAMAGE]
    assert (one.verdict, one.estimate.n, len(one.values)) == (SUPPORTED, 4, 5)
    two = judged({**given, "moments": without(given["moments"], [0, 3])})[DAMAGE]
    assert two.reason == "training examples were memorised in 3 of 5 replicas; four fifths must"


def test_a_baseline_that_is_not_memorised_is_refused() -> None:
    """Half of the training examples were right at the baseline of the first version."""
    findings = judged(tables(planted(rising(0.02, 0.4, 0.02)), accuracy={"grokking": 0.5}))
    assert verdicts(findings) == [NOT_TESTABLE] * 3
    assert findings[DAMAGE].reason.startswith("training accuracy at t_m was 0.99 or more in 0 of 5 replicas")
    assert findings["training accuracy at the baseline, grokking"].values == (0.5,) * 5


def test_units_without_a_match_leave_that_row_empty_and_the_verdict_alone() -> None:
    given = tables(planted(rising(0.02, 0.4, 0.02)))
    damage = given["damage"]
    given["damage"] = damage.assign(area=damage["area"].mask(damage["ranking"] == "matched"))
    findings = judged(given)
    assert findings["excess over k matched on activation norm, rise"].estimate.n == 0
    assert findings[EXCESS].verdict == SUPPORTED


MOMENTS: Mapping[str, float] = {"onset": 40.0, "generalised": 60.0, "before": 20.0, "after": 80.0}
SERIES = pd.Series({0: 0.0, 20: 1.0, 30: 1.5, 40: 2.0, 60: 5.0, 70: 5.5, 80: 6.0, 100: 6.0})


def test_windows_before_and_after_are_as_long_as_generalising() -> None:
    """The rate is 3/20 per step while generalising, 1/20 before and 1/20 after."""
    assert topk_damage.rate_against_before(SERIES, MOMENTS) == pytest.approx(100)
    assert topk_damage.rate_against_after(SERIES, MOMENTS) == pytest.approx(100)


def test_a_shortened_window_has_its_own_rate() -> None:
    assert topk_damage.rate_against_before(SERIES, {**MOMENTS, "before": 30.0}) == pytest.approx(100)
    assert topk_damage.rate_against_after(SERIES, {**MOMENTS, "after": 70.0}) == pytest.approx(100)


@pytest.mark.parametrize(
    "steps",
    [
        {**MOMENTS, "before": 40.0},  # nothing before
        {**MOMENTS, "before": 25.0},  # not measured there
        {**MOMENTS, "onset": 60.0},  # at once
        dict.fromkeys(MOMENTS, float("nan")),
    ],
)
def test_an_empty_or_unknown_window_has_no_rate(steps: Mapping[str, float]) -> None:
    assert math.isnan(topk_damage.rate_against_before(SERIES, steps))


def test_no_training_after_generalising_has_no_rate() -> None:
    assert math.isnan(topk_damage.rate_against_after(SERIES, {**MOMENTS, "after": 60.0}))
    assert math.isnan(topk_damage.rate_against_after(pd.Series(dtype=float), MOMENTS))


def test_noise_is_decided_no_more_often_than_the_look_allows() -> None:
    """Damage does not change: a fall by chance is decided at the level of the look, a support hardly ever."""
    simulations = 24
    flat = rising(0, 0, 0, start=0.3)
    decided = [verdicts(judged(tables(planted(flat, seed, noise=0.05)))) for seed in range(simulations)]
    for place in range(3):
        of_part = [row[place] for row in decided]
        assert of_part.count(SUPPORTED) <= stats.binom.isf(1e-3, simulations, LOOKS[5])
        assert of_part.count(CONTRADICTED) <= stats.binom.isf(1e-3, simulations, LOOKS[5])
