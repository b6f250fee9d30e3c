"""topk_damage on simulated tables: it takes all six contrasts to support it, and one falling rise to contradict it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.claims import topk_damage
from general_circuits.claims.findings import CONTRADICTED, REGISTERED, SUPPORTED, UNDECIDED, Finding
from general_circuits.registered import REGISTERED as REGISTERED_CHOICES

pytestmark = pytest.mark.filterwarnings("error")

STEPS = np.arange(0, 4001, 250)
MEMORISED, ONSET, GENERALISED = 500, 1500, 2250
REGISTERED_ROWS = {**REGISTERED_CHOICES, "by": "mean_magnitude", "deletion": "zero", "dead_units": "included"}

SIX = tuple(
    f"{what} {contrast}"
    for contrast in ("rise", "rate while generalising minus before", "rate while generalising minus after")
    for what in ("damage", "excess damage")
)
Curve = Callable[[str, str, int], np.ndarray]
"""Function: condition, ranking, replica → D over `STEPS`."""


def rising(before: float, during: float, after: float, start: float = 0.1) -> np.ndarray:
    """Return D over `STEPS`, which changes at these rates per 1,000 steps: before t_o, until t_g, and after t_g."""
    knots = np.array([0, ONSET, GENERALISED, 4000])
    values = start + np.concatenate([[0], np.cumsum(np.array([before, during, after]) * np.diff(knots) / 1000)])
    return np.interp(STEPS, knots, values)


def tables(
    curve: Curve,
    replicas: int = 5,
    conditions: Sequence[str] = ("grokking",),
    censored: Sequence[int] = (),
) -> dict[str, pd.DataFrame]:
    """Build the `events` and `damage` tables; D of the two random draws lies on either side of the curve."""
    event_rows, frames = [], []
    for condition in conditions:
        for replica in range(replicas):
            for event, step in (
                ("memorised", MEMORISED),
                ("validation_loss_peak", MEMORISED),
                ("onset", ONSET),
                ("generalised", GENERALISED),
            ):
                lost = step >= ONSET and (condition != "grokking" or replica in censored)
                event_rows.append((condition, replica, event, 4000 if lost else step, lost))
            for ranking in ("top", "bottom", "random", "matched"):
                for draw, offset in ((0, 0.01), (1, -0.01)) if ranking == "random" else ((0, 0.0),):
                    names = {"condition": condition, "replica": replica, "ranking": ranking, "draw": draw}
                    area = curve(condition, ranking, replica) + offset
                    frames.append(pd.DataFrame({"step": STEPS, "area": area, **names}))
    events = pd.DataFrame(event_rows, columns=["condition", "replica", "event", "step", "censored"])
    damage = pd.concat(frames, ignore_index=True).assign(layer=0, **REGISTERED_ROWS)
    is_random = damage["ranking"] == "random"
    damage.loc[is_random, ["by", "method", "target", "normalisation"]] = "none"
    damage = damage.assign(margin_area=10 * damage["area"], matched_margin_area=2 * damage["area"])
    words = ("ranking", *REGISTERED_ROWS)
    damage = damage.astype(dict.fromkeys(words, "category"))
    events["event"] = events["event"].astype("category")
    return {
        name: part.assign(condition=pd.Categorical(part["condition"], categories=list(conditions)))
        for name, part in (("events", events), ("damage", damage))
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
    found = topk_damage.judge(given)
    assert len({finding.contrast for finding in found}) == len(found)
    assert [finding.contrast for finding in found if finding.verdict] == [REGISTERED]
    return {finding.contrast: finding for finding in found}


def test_a_rise_that_is_fastest_while_generalising_is_supported() -> None:
    found = judged(tables(planted(rising(0.02, 0.4, 0.02))))
    assert found[REGISTERED].verdict == SUPPORTED
    assert found[REGISTERED].estimate.p_value < 0.05
    assert "all 5 replicas" in found[REGISTERED].sentence
    # From 500 to the late window's median step, 2,750: 0.02 + 0.3 + 0.01.
    assert found[REGISTERED].estimate.mean == pytest.approx(0.33, abs=0.01)
    assert found["damage rise"].estimate.mean == pytest.approx(0.33, abs=0.01)


def test_the_rates_by_hand() -> None:
    """The rate is 0.4 per 1,000 steps within [t_o, t_g], 0.02 before it and 0.05 after it."""
    found = judged(tables(planted(rising(0.02, 0.4, 0.05), noise=0.0), replicas=3))
    assert found["damage rate while generalising minus before"].estimate.mean == pytest.approx(0.38)
    assert found["excess damage rate while generalising minus after"].estimate.mean == pytest.approx(0.35)


def test_a_fall_is_contradicted() -> None:
    found = judged(tables(planted(rising(-0.02, -0.2, -0.02, start=0.6))))[REGISTERED]
    assert found.verdict == CONTRADICTED
    assert found.estimate.high < 0
    assert found.estimate.p_value < 0.05


def test_damage_that_random_deletion_does_too_is_no_support() -> None:
    top = rising(0.02, 0.4, 0.02)
    generator = np.random.default_rng(0)
    found = judged(tables(lambda *_: top + 0.002 * generator.normal(size=len(STEPS))))
    assert found["damage rise"].estimate.low > 0
    assert found[REGISTERED].verdict != SUPPORTED


@pytest.mark.parametrize(
    ("top", "missing"),
    [
        (rising(0.1, 0.1, 0.1), "before"),  # a steady rise, as margins grow
        (rising(0.4, 0.1, 0.0), "before"),
        (rising(0.0, 0.1, 0.4), "after"),
    ],
)
def test_a_rise_that_is_not_fastest_while_generalising_is_undecided(top: np.ndarray, missing: str) -> None:
    found = judged(tables(planted(top)))[REGISTERED]
    assert found.estimate.low > 0
    assert found.verdict == UNDECIDED
    assert f"minus {missing}" in found.sentence


def test_six_contrasts_stand_beside_the_registered_one_and_three_more_and_the_controls() -> None:
    found = judged(
        tables(planted(rising(0.02, 0.4, 0.02), control=rising(0, 0, 0)), conditions=("grokking", "no_delay"))
    )
    assert set(found) == {
        REGISTERED,
        "damage rise",
        "excess damage rise",
        "damage rate while generalising minus before",
        "excess damage rate while generalising minus before",
        "damage rate while generalising minus after",
        "excess damage rate while generalising minus after",
        "excess over the bottom k, rise",
        "excess over k matched on activation norm, rise",
        "excess loss of margin, rise",
        "excess loss of margin at matched logit scale, rise",
        "excess damage rise in no_delay",
    }
    assert found["excess loss of margin, rise"].estimate.mean == pytest.approx(3.3, abs=0.1)
    assert found["excess loss of margin at matched logit scale, rise"].estimate.mean == pytest.approx(0.66, abs=0.02)
    assert found["excess over the bottom k, rise"].estimate.mean == pytest.approx(0.33, abs=0.01)
    assert found["excess damage rise in no_delay"].estimate.mean == pytest.approx(0, abs=0.01)


def test_a_control_is_read_at_its_partners_steps() -> None:
    """The control itself never generalises."""
    found = judged(tables(planted(rising(0, 0, 0), control=rising(0.1, 0.1, 0.1)), conditions=("grokking", "no_delay")))
    beside = found["excess damage rise in no_delay"].estimate
    assert beside.n == 5
    assert beside.mean == pytest.approx(0.225, abs=0.01)


def test_censored_replicas_are_counted_not_used() -> None:
    found = judged(tables(planted(rising(0.02, 0.4, 0.02)), censored=(0, 4)))[REGISTERED]
    assert (found.verdict, found.estimate.n) == (SUPPORTED, 3)
    assert "3 of 5 replicas" in found.sentence


def test_two_replicas_left_decide_nothing() -> None:
    for top in (rising(0.02, 0.4, 0.02), rising(-0.02, -0.2, -0.02, start=0.6)):
        found = judged(tables(planted(top), censored=(0, 1, 2)))[REGISTERED]
        assert (found.verdict, found.estimate.n) == (UNDECIDED, 2)


def test_nothing_is_decided_where_every_replica_is_censored() -> None:
    found = judged(tables(planted(rising(0.02, 0.4, 0.02)), censored=range(5)))
    assert found[REGISTERED].verdict == UNDECIDED
    assert "0 of 5 replicas" in found[REGISTERED].sentence
    assert all(finding.estimate.n == 0 and math.isnan(finding.estimate.mean) for finding in found.values())


def test_units_without_a_match_leave_that_row_empty_and_the_verdict_alone() -> None:
    given = tables(planted(rising(0.02, 0.4, 0.02)))
    damage = given["damage"]
    given["damage"] = damage.assign(area=damage["area"].mask(damage["ranking"] == "matched"))
    found = judged(given)
    assert found["excess over k matched on activation norm, rise"].estimate.n == 0
    assert found[REGISTERED].verdict == SUPPORTED


EVENTS: Mapping[str, float] = {"memorised": 0.0, "onset": 40.0, "generalised": 60.0}
SERIES = pd.Series({0: 0.0, 20: 1.0, 40: 2.0, 60: 5.0, 80: 6.0, 100: 6.0})


def test_windows_before_and_after_are_as_long_as_generalising() -> None:
    """The rate is 3/20 per step while generalising, 1/20 before and 1/20 after."""
    assert topk_damage.rate_against_before(SERIES, EVENTS) == pytest.approx(100)
    assert topk_damage.rate_against_after(SERIES, EVENTS) == pytest.approx(100)


def test_a_window_before_memorisation_or_after_training_is_shortened() -> None:
    """The rate is 1/20 per step from 30 to 40, and from 70 to 80, the end; from 40 to 70 damage rises by 3.5."""
    assert topk_damage.rate_against_before(SERIES, {**EVENTS, "memorised": 30.0}) == pytest.approx(150 - 50)
    ended = SERIES[SERIES.index <= 80]
    assert topk_damage.rate_against_after(ended, {**EVENTS, "generalised": 70.0}) == pytest.approx(3500 / 30 - 50)


@pytest.mark.parametrize(
    "steps",
    [
        {**EVENTS, "memorised": 40.0},  # nothing before
        {**EVENTS, "onset": 60.0},  # at once
        {**EVENTS, "onset": float("nan"), "generalised": float("nan")},
        {**EVENTS, "generalised": float("nan")},
    ],
)
def test_an_empty_or_unknown_window_has_no_rate(steps: Mapping[str, float]) -> None:
    assert math.isnan(topk_damage.rate_against_before(SERIES, steps))


def test_no_training_after_generalising_has_no_rate() -> None:
    assert math.isnan(topk_damage.rate_against_after(SERIES, {**EVENTS, "generalised": 100.0}))
    assert math.isnan(topk_damage.rate_against_after(pd.Series(dtype=float), EVENTS))


NAMES = [
    f"{what} rise{when}"
    for when in ("", " while generalising against before", " while generalising against after")
    for what in ("damage", "excess damage")
]
POSITIVE = Estimate(0.3, 0.2, 0.4, 0.001, 5)


def test_support_needs_all_six_and_its_p_is_the_largest() -> None:
    weakest = Estimate(0.3, 0.01, 0.6, 0.045, 5)
    six = dict.fromkeys(NAMES, POSITIVE)
    assert topk_damage._registered(six, 5).verdict == SUPPORTED
    for name in NAMES:
        found = topk_damage._registered({**six, name: weakest}, 5)
        assert (found.verdict, found.estimate.p_value) == (SUPPORTED, 0.045)
        for failing in (Estimate(0.3, -0.01, 0.6, 0.06, 5), Estimate(0.3, 0.2, 0.4, 0.001, 2)):
            assert topk_damage._registered({**six, name: failing}, 5).verdict == UNDECIDED


def test_either_rise_that_falls_contradicts() -> None:
    falling = Estimate(-0.3, -0.4, -0.2, 0.002, 5)
    for name in NAMES[:2]:
        assert topk_damage._registered({**dict.fromkeys(NAMES, POSITIVE), name: falling}, 5).verdict == CONTRADICTED
    both = {**dict.fromkeys(NAMES, POSITIVE), NAMES[0]: falling, NAMES[1]: falling}
    assert topk_damage._registered(both, 5).estimate.p_value == pytest.approx(0.004)


def test_noise_is_decided_in_at_most_5_percent() -> None:
    """Supporting takes six intervals; contradicting one of two, each below 0 by chance in 2.5 %."""
    simulations = 24
    flat = rising(0, 0, 0, start=0.3)
    verdicts = [judged(tables(planted(flat, seed, noise=0.05), 4))[REGISTERED].verdict for seed in range(simulations)]
    assert verdicts.count(SUPPORTED) <= stats.binom.ppf(0.999, simulations, 0.05)
    assert verdicts.count(CONTRADICTED) <= stats.binom.ppf(0.999, simulations, 0.05)


def test_the_registered_rule_errs_in_at_most_5_percent() -> None:
    """The rule alone is tested, on noise that is read as `judge` reads it."""
    generator = np.random.default_rng(0)
    simulations, replicas = 400, 5
    steps = {"memorised": MEMORISED, "onset": ONSET, "generalised": GENERALISED}
    contrasts = (
        topk_damage.change_to_late_window,
        topk_damage.rate_against_before,
        topk_damage.rate_against_after,
    )
    decided = []
    for _ in range(simulations):
        top, random = generator.normal(0.3, 0.05, size=(2, replicas, len(STEPS)))
        values = [
            [contrast(pd.Series(series, index=STEPS), steps) for series in of]
            for contrast in contrasts
            for of in (top, top - random)
        ]
        six = {name: estimate(one) for name, one in zip(NAMES, values, strict=True)}
        decided.append(topk_damage._registered(six, replicas).verdict)
    for verdict in (SUPPORTED, CONTRADICTED):
        assert decided.count(verdict) <= stats.binom.ppf(0.999, simulations, 0.05)


def test_a_fall_is_tested_by_the_rises_that_fall() -> None:
    """The small p of damage that rises is no evidence for the fall of the excess."""
    six = {name: Estimate(0.3, 0.2, 0.4, 1e-8, 5) for name in SIX}
    six["excess damage rise"] = Estimate(-0.02, -0.039, -0.001, 0.04, 5)
    finding = topk_damage._registered(six, 5)
    assert finding.verdict == CONTRADICTED
    assert finding.estimate.p_value == pytest.approx(0.08)


def test_a_contrast_of_the_wrong_sign_is_no_evidence_however_small_its_p() -> None:
    six = {name: Estimate(0.3, 0.2, 0.4, 1e-8, 5) for name in SIX}
    six["damage rate while generalising minus after"] = Estimate(-0.3, -0.4, -0.2, 1e-9, 5)
    finding = topk_damage._registered(six, 5)
    assert finding.verdict == UNDECIDED
    assert finding.estimate.p_value == 1.0


@pytest.mark.parametrize("missing", range(6))
def test_there_is_no_p_where_one_of_the_six_has_none(missing: int) -> None:
    six = {name: Estimate(0.3, 0.2, 0.4, 1e-8, 5) for name in SIX}
    six[SIX[missing]] = estimate([])
    finding = topk_damage._registered(six, 5)
    assert finding.verdict == UNDECIDED
    assert math.isnan(finding.estimate.p_value)
