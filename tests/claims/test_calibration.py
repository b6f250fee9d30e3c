"""Calibration on simulated studies: intervals cover what was planted and verdicts err as seldom as registered.

Judging tables takes long. So most studies are only numbers of replicas, which the claims' rules judge. For each claim
a test shows that tables of such a study give these numbers. Draws are fixed, and bands are binomial, of 99.9 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest
import variant_tables
from moment_tables import moments_table, partners
from scipy import stats

from general_circuits.analysis.decisions import LOOKS, Decision, Rule, decide, least_favourable
from general_circuits.analysis.estimates import Array
from general_circuits.claims import saliency_skew, topk_damage
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding, part
from general_circuits.registered import REGISTERED as REGISTERED_CHOICES

pytestmark = pytest.mark.filterwarnings("error")

STEPS = (0, 1000, 2000, 3000)
EVENTS = {"memorised": 0.0, "onset": 1000.0, "generalised": 2000.0}
"""The late window has two checkpoints, the last two: its median is their mean."""

GAUSSIAN, SKEWED = "gaussian", "skewed"
STUDIES = 200
REPLICAS = pytest.mark.parametrize("replicas", [5, 8])
ALL_LOOKS = 0.027
"""Largest probability of an error in one direction over all looks: 2.5 %, with room for t tests instead of z tests."""


def noise(kind: str, size: Sequence[int], generator: np.random.Generator) -> Array:
    """Draw noise of mean 0 and standard deviation 1; skewed noise is from a gamma distribution of skewness 1."""
    return generator.normal(size=size) if kind == GAUSSIAN else (generator.gamma(4, size=size) - 4) / 2


def rows(conditions: Sequence[str], replicas: int, **names: Sequence[str]) -> pd.DataFrame:
    """Build a row per condition, replica, `names` and step, for the last layer on training examples."""
    keys = {"condition": conditions, "replica": range(replicas), **names, "step": STEPS, "split": ["train"]}
    frame = pd.MultiIndex.from_product(list(keys.values()), names=list(keys)).to_frame(index=False)
    words = {name: pd.Categorical(frame[name], list(keys[name])) for name in keys if name not in ("replica", "step")}
    return frame.assign(layer=0, **words)


def moments_of(conditions: Sequence[str], replicas: int, censored: int) -> pd.DataFrame:
    """Build the `moments` table; the first `censored` replicas of grokking never generalise."""
    steps = partners(replicas, EVENTS, range(censored))
    return moments_table(steps, dict.fromkeys(conditions, EVENTS["memorised"]), STEPS[-1])


def by_one(studies: Array, rule: Rule) -> list[Decision]:
    """Judge each study by one contrast, (study, replica)."""
    return [decide(values, rule) for values in studies]


def by_least_favourable(contrasts: Mapping[str, Array], rule: Rule) -> list[Decision]:
    """Judge each study by the least favourable of several contrasts, (study, replica) by name."""
    studies = len(next(iter(contrasts.values())))
    return [least_favourable({name: values[i] for name, values in contrasts.items()}, rule) for i in range(studies)]


def covering(decisions: Iterable[Decision], truth: float) -> int:
    """Count the intervals that hold the true value."""
    return sum(decision.estimate.low <= truth <= decision.estimate.high for decision in decisions)


def counted(decisions: Iterable[Decision], verdict: str) -> int:
    return [decision.verdict for decision in decisions].count(verdict)


def at_most(count: int, trials: int, probability: float) -> bool:
    """Tell whether a count of errors is no larger than chance allows at this probability."""
    return bool(count <= stats.binom.ppf(0.999, trials, probability))


def errors(rule: Rule) -> list[tuple[float, tuple[str, str]]]:
    """Return both thresholds and the middle between them, each with the verdicts that are wrong there."""
    middle = (rule.supported + rule.contradicted) / 2
    at_thresholds = (rule.supported, (SUPPORTED, BETWEEN)), (rule.contradicted, (CONTRADICTED, BETWEEN))
    return [*at_thresholds, (middle, (SUPPORTED, CONTRADICTED))]


def nominal(replicas: int) -> float:
    """Return the level of intervals of studies with this many replicas, which have two ends."""
    return 1 - 2 * LOOKS[replicas]


def at_nominal_rate(count: int, trials: int, replicas: int) -> bool:
    """Tell whether a count of covering intervals is compatible with their nominal level."""
    low, high = stats.binom.interval(0.999, trials, nominal(replicas))
    return bool(low <= count <= high)


def near_nominal_rate(count: int, trials: int, replicas: int) -> bool:
    """Tell whether a count of covering intervals is compatible with 3 % less than nominal; for skewed noise."""
    return bool(count >= stats.binom.ppf(0.0005, trials, nominal(replicas) - 0.03))


# saliency_skew: grokking changes by an exact amount, and the noise of each pair is its control's.

FAMILY = ("by_example", "by_pair", "latin_square")
LABELS, BY = "split.label_noise", "split.label_noise_by"
SHARED = 0.2
"""Change of L-skewness that all conditions share."""


def judged_skew(changes: Mapping[str, Array], censored: int = 0) -> dict[str, Finding]:
    """Return findings on skewness that changes at t_g; changes are (replica), of grokking and of `FAMILY`."""
    replicas = len(changes["grokking"])
    late = np.array(STEPS) >= EVENTS["generalised"]
    levels = np.linspace(0.1, 0.3, replicas)[:, None]
    values = np.concatenate([levels + change[:, None] * late for change in changes.values()]).ravel()
    frame = rows(tuple(changes), replicas, statistic=("mean_magnitude",), dead_units=("excluded",))
    unmeasured = {"gini": np.nan, "median": np.nan, "moment_skewness": np.nan, "degenerate": False}
    kinds = zip(FAMILY, saliency_skew.KINDS, strict=True)
    settings = variant_tables.conditions({name: {LABELS: 1.0, BY: kind} for name, kind in kinds})
    by_default = pd.DataFrame({"condition": "grokking", "setting": [LABELS, BY], "value": ["0.0", '"example"']})
    tables = {
        "moments": moments_of(tuple(changes), replicas, censored),
        "distribution": frame.assign(l_skewness=values, **unmeasured),
        "conditions": pd.concat([settings, by_default], ignore_index=True),
    }
    return {finding.contrast: finding for finding in saliency_skew.judge(tables)}


def skew_studies(
    beyond: Sequence[float], spread: float, kind: str, replicas: int, studies: int = STUDIES
) -> dict[str, Array]:
    """Simulate studies in which grokking changes by `beyond` more than each control: (study, replica) by control."""
    generator = np.random.default_rng([replicas, *(int(1000 * abs(change)) for change in beyond), kind == GAUSSIAN])
    size = (studies, replicas)
    return {name: change + spread * noise(kind, size, generator) for name, change in zip(FAMILY, beyond, strict=True)}


SKEW = saliency_skew.RULE


def pairs(change: float, spread: float, kind: str, replicas: int) -> list[Decision]:
    """Judge simulated pairs of grokking and one control, whose true difference is `change`."""
    contrasts = skew_studies([change] * len(FAMILY), spread, kind, replicas)
    return [decision for values in contrasts.values() for decision in by_one(values, SKEW)]


def families(beyond: Sequence[float], spread: float, replicas: int) -> list[Decision]:
    """Judge simulated studies by the least favourable control."""
    return by_least_favourable(skew_studies(beyond, spread, GAUSSIAN, replicas), SKEW)


@REPLICAS
@pytest.mark.parametrize("change", [0.0, 0.2])
def test_the_claim_judges_a_study_of_skewness_by_these_numbers(change: float, replicas: int) -> None:
    contrasts = skew_studies([change, 0.1, 0.2], 0.05, GAUSSIAN, replicas, studies=1)
    own = np.full(replicas, SHARED)
    found = judged_skew({"grokking": own, **{name: own - values[0] for name, values in contrasts.items()}})
    (expected,) = by_least_favourable(contrasts, SKEW)
    assert found[part("skewness")].verdict == expected.verdict
    assert found[part("skewness")].values == pytest.approx(expected.values)


@REPLICAS
@pytest.mark.parametrize(("change", "spread"), [(0.0, 0.2), (saliency_skew.THRESHOLD, 0.05)])
def test_skew_intervals_cover_the_planted_change_at_their_nominal_rate(
    change: float, spread: float, replicas: int
) -> None:
    decisions = pairs(change, spread, GAUSSIAN, replicas)
    assert at_nominal_rate(covering(decisions, change), len(decisions), replicas)


@REPLICAS
def test_skew_intervals_cover_nearly_as_often_where_replicas_vary_skewedly(replicas: int) -> None:
    decisions = pairs(0.1, 0.05, SKEWED, replicas)
    assert near_nominal_rate(covering(decisions, 0.1), len(decisions), replicas)


@REPLICAS
@pytest.mark.parametrize(("change", "wrong"), errors(SKEW))
def test_skewness_is_judged_wrongly_no_more_often_than_the_look_allows(
    change: float, wrong: Sequence[str], replicas: int
) -> None:
    """Count each verdict on its own. Where the truth is at a threshold, both verdicts beside it are errors."""
    decisions = pairs(change, 0.05, GAUSSIAN, replicas)
    for verdict in wrong:
        assert at_most(counted(decisions, verdict), len(decisions), LOOKS[replicas])


@REPLICAS
@pytest.mark.parametrize(("change", "verdict"), [(0.2, SUPPORTED), (-0.2, CONTRADICTED), (0.0, BETWEEN)])
def test_skewness_with_little_noise_is_judged_rightly_in_nearly_all(change: float, verdict: str, replicas: int) -> None:
    decisions = families([change] * len(FAMILY), 0.01, replicas)
    assert counted(decisions, verdict) > 0.95 * STUDIES


@REPLICAS
@pytest.mark.parametrize("place", range(len(FAMILY)))
def test_a_family_of_which_one_control_rises_as_much_is_hardly_ever_supported(place: int, replicas: int) -> None:
    """The true change beyond that control is 0, or exactly the threshold; beyond the others it is large."""
    for least, spread, verdict in ((0.0, 0.01, BETWEEN), (SKEW.supported, 0.05, UNDECIDED)):
        beyond = [0.5] * len(FAMILY)
        beyond[place] = least
        decisions = families(beyond, spread, replicas)
        assert at_most(counted(decisions, SUPPORTED), STUDIES, LOOKS[replicas])
        assert counted(decisions, verdict) > 0.9 * STUDIES
        assert {decision.contrast for decision in decisions} == {FAMILY[place]}


@REPLICAS
def test_a_family_at_the_threshold_of_contradiction_is_contradicted_no_more_often_than_the_look_allows(
    replicas: int,
) -> None:
    """Each of three controls could contradict by chance."""
    decisions = families([SKEW.contradicted] * len(FAMILY), 0.05, replicas)
    assert at_most(counted(decisions, CONTRADICTED), STUDIES, LOOKS[replicas])


@pytest.mark.parametrize(("replicas", "censored", "verdict"), [(2, 0, UNDECIDED), (5, 3, NOT_TESTABLE)])
@pytest.mark.parametrize("change", [-0.5, 0.5])
def test_fewer_than_three_replicas_decide_nothing_about_skewness(
    replicas: int, censored: int, verdict: str, change: float
) -> None:
    generator = np.random.default_rng(0)
    changes = {name: 0.001 * generator.normal(size=replicas) for name in ("grokking", *FAMILY)}
    found = judged_skew({**changes, "grokking": change + changes["grokking"]}, censored)
    assert found[part("skewness")].verdict == verdict
    assert found["skewness, without a control"].estimate.n == replicas - censored


# topk_damage: D rises along a profile, by a rise that varies between replicas; checkpoints vary as well.

Profile = tuple[float, float, float, float]
STEADY: Profile = (0.0, 0.4, 0.8, 1.2)
AS_FAST_AFTER: Profile = (0.0, 0.1, 0.7, 1.3)
WHILE_GENERALISING: Profile = (0.0, 0.05, 1.0, 1.0)
"""Profiles over `STEPS`. Each rises by 1 from t_m to the late window; the last is fastest within [t_o, t_g]."""

RISE = 0.3
DAMAGE, FASTER = topk_damage.RISE, topk_damage.FASTER
TIMING = tuple(
    f"rate of {name} while generalising minus {when}" for name in topk_damage.PARTS for when in ("before", "after")
)
DAMAGE_PARTS = pytest.mark.parametrize("name", list(topk_damage.PARTS))


def judged_damage(top: Array, random: Array, censored: int = 0) -> dict[str, Finding]:
    """Return findings on D under the two rankings that decide, (replica, step)."""
    choices = {**REGISTERED_CHOICES, "by": "mean_magnitude", "deletion": "zero", "dead_units": "included"}
    names = {name: (choice,) for name, choice in choices.items() if name != "split"}
    frame = rows(("grokking",), len(top), ranking=("top", "random"), **names)
    area = np.stack([top, random], axis=1).ravel()
    damage = frame.assign(area=area, margin_area=np.nan, matched_margin_area=np.nan)
    tables = {"moments": moments_of(("grokking",), len(top), censored), "damage": damage}
    return {finding.contrast: finding for finding in topk_damage.judge(tables)}


def drawn_damage(profile: Profile, rise: float, spread: float, kind: str, size: tuple[int, int]) -> tuple[Array, Array]:
    """Draw D_top, which truly rises by `rise`, and D_random, which does not: (study, replica, step) each.

    Rises of D_top vary with noise of this kind. D_random has Gaussian noise only.
    """
    assert np.mean(profile[2:]) - profile[0] == pytest.approx(1)
    generator = np.random.default_rng([size[1], int(1000 * abs(rise)), kind == GAUSSIAN, int(1000 * profile[1])])
    rises = rise + spread * noise(kind, size, generator), spread / 2 * noise(GAUSSIAN, size, generator)
    # D_random is the mean of many draws, and steadier.
    top, random = (
        0.2 + of_ranking[..., None] * np.array(profile) + unsteady * noise(GAUSSIAN, (*size, len(STEPS)), generator)
        for of_ranking, unsteady in zip(rises, (spread / 10, spread / 50), strict=True)
    )
    return top, random


def damage_contrasts(top: Array, random: Array) -> dict[str, Array]:
    """Return the rises and the differences of rates, (study, replica) by name, worked out by hand.

    Each step of `STEPS` is 1,000 later than the one before.
    """
    contrasts = {}
    for name, area in (("damage", top), ("excess", top - random)):
        contrasts[name] = area[..., 2:].mean(axis=-1) - area[..., 0]
        before, while_generalising, after = np.moveaxis(np.diff(area, axis=-1), -1, 0)
        contrasts[f"rate of {name} while generalising minus before"] = while_generalising - before
        contrasts[f"rate of {name} while generalising minus after"] = while_generalising - after
    return contrasts


@cache
def damage_studies(profile: Profile, rise: float, spread: float, kind: str, replicas: int) -> dict[str, Array]:
    """Simulate studies: (study, replica) by part or rate."""
    return damage_contrasts(*drawn_damage(profile, rise, spread, kind, (STUDIES, replicas)))


@REPLICAS
@pytest.mark.parametrize("profile", [STEADY, WHILE_GENERALISING])
def test_the_claim_judges_a_study_of_damage_by_these_numbers(profile: Profile, replicas: int) -> None:
    top, random = drawn_damage(profile, 0.1, 0.1, GAUSSIAN, (1, replicas))
    found, contrasts = judged_damage(top[0], random[0]), damage_contrasts(top, random)
    for name in topk_damage.PARTS:
        (expected,) = by_one(contrasts[name], DAMAGE)
        assert found[part(name)].verdict == expected.verdict
        assert found[part(name)].values == pytest.approx(expected.values)
    (expected,) = by_least_favourable({name: contrasts[name] for name in TIMING}, FASTER)
    assert found[part("timing")].verdict == expected.verdict
    assert found[part("timing")].values == pytest.approx(expected.values)


def damages(rise: float, spread: float, kind: str, name: str, replicas: int) -> list[Decision]:
    """Judge one part of simulated studies whose damage rises mostly while they generalise."""
    return by_one(damage_studies(WHILE_GENERALISING, rise, spread, kind, replicas)[name], DAMAGE)


def timings(profile: Profile, rise: float, kind: str, replicas: int) -> list[Decision]:
    """Judge whether damage and excess rise fastest while generalising, in simulated studies."""
    contrasts = damage_studies(profile, rise, 0.1, kind, replicas)
    return by_least_favourable({name: contrasts[name] for name in TIMING}, FASTER)


@REPLICAS
@DAMAGE_PARTS
@pytest.mark.parametrize("rise", [0.0, RISE])
def test_damage_intervals_cover_the_planted_rise_at_their_nominal_rate(name: str, rise: float, replicas: int) -> None:
    decisions = damages(rise, 0.1, GAUSSIAN, name, replicas)
    assert at_nominal_rate(covering(decisions, rise), STUDIES, replicas)


@REPLICAS
@DAMAGE_PARTS
def test_damage_intervals_cover_nearly_as_often_where_replicas_vary_skewedly(name: str, replicas: int) -> None:
    decisions = damages(RISE, 0.1, SKEWED, name, replicas)
    assert near_nominal_rate(covering(decisions, RISE), STUDIES, replicas)


@REPLICAS
@DAMAGE_PARTS
@pytest.mark.parametrize(("rise", "wrong"), errors(DAMAGE))
def test_damage_is_judged_wrongly_no_more_often_than_the_look_allows(
    name: str, rise: float, wrong: Sequence[str], replicas: int
) -> None:
    decisions = damages(rise, 0.02, GAUSSIAN, name, replicas)
    for verdict in wrong:
        assert at_most(counted(decisions, verdict), STUDIES, LOOKS[replicas])


@REPLICAS
@DAMAGE_PARTS
@pytest.mark.parametrize(("rise", "verdict"), [(0.2, SUPPORTED), (-0.2, CONTRADICTED), (0.025, BETWEEN)])
def test_damage_with_little_noise_is_judged_rightly_in_nearly_all(
    name: str, rise: float, verdict: str, replicas: int
) -> None:
    assert counted(damages(rise, 0.005, GAUSSIAN, name, replicas), verdict) > 0.95 * STUDIES


@REPLICAS
@pytest.mark.parametrize(("profile", "kind"), [(STEADY, GAUSSIAN), (STEADY, SKEWED), (AS_FAST_AFTER, GAUSSIAN)])
def test_a_rise_no_faster_while_generalising_is_decided_no_more_often_than_the_look_allows(
    profile: Profile, kind: str, replicas: int
) -> None:
    decisions = timings(profile, RISE, kind, replicas)
    assert at_most(counted(decisions, SUPPORTED), STUDIES, LOOKS[replicas])
    assert at_most(counted(decisions, CONTRADICTED), STUDIES, LOOKS[replicas])


@REPLICAS
def test_a_large_rise_while_generalising_is_supported_in_nearly_all(replicas: int) -> None:
    assert counted(timings(WHILE_GENERALISING, 0.5, GAUSSIAN, replicas), SUPPORTED) > 0.95 * STUDIES


@pytest.mark.parametrize(("replicas", "censored", "verdict"), [(2, 0, UNDECIDED), (5, 3, NOT_TESTABLE)])
@pytest.mark.parametrize("rise", [-0.5, 0.5])
def test_fewer_than_three_replicas_decide_nothing_about_damage(
    replicas: int, censored: int, verdict: str, rise: float
) -> None:
    unsteady = 0.001 * np.random.default_rng(0).normal(size=(2, replicas, len(STEPS)))
    top, random = 0.5 + np.array([rise, 0.0])[:, None, None] * np.array(WHILE_GENERALISING) + unsteady
    found = judged_damage(top, random, censored)
    assert [found[part(name)].verdict for name in (*topk_damage.PARTS, "timing")] == [verdict] * 3
    assert found[TIMING[0]].estimate.n == replicas - censored


# Looks: a study goes on to the next number of replicas while it is undecided.


def first_verdict(values: Array, rule: Rule) -> str:
    """Return the verdict of a study that is looked at with 5, 8, 12 and 20 replicas until it is decided."""
    verdicts = (decide(values[:replicas], rule).verdict for replicas in LOOKS)
    return next((verdict for verdict in verdicts if verdict != UNDECIDED), UNDECIDED)


@pytest.mark.parametrize("rule", [SKEW, DAMAGE, FASTER], ids=["skewness", "damage", "timing"])
def test_four_looks_err_in_one_direction_no_more_often_than_registered(rule: Rule) -> None:
    """The truth is at a threshold; the other one is too far for a verdict between them to stop studies."""
    trials = 2000
    noise_of_replicas = np.random.default_rng(7).normal(size=(trials, max(LOOKS)))
    for truth, error in ((rule.supported, SUPPORTED), (rule.contradicted, CONTRADICTED)):
        verdicts = [first_verdict(truth + values, rule) for values in noise_of_replicas]
        assert at_most(verdicts.count(error), trials, ALL_LOOKS)
        assert verdicts.count(error) > 0.5 * ALL_LOOKS * trials  # the looks waste little of what they may spend
