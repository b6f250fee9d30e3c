"""Calibration on simulated studies: intervals cover what was planted and verdicts err as seldom as registered.

Studies hold only what decides, so that many can be judged; draws are fixed and bands are binomial, of 99.9 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from general_circuits.analysis.estimates import Array, Estimate
from general_circuits.claims import saliency_skew, topk_damage
from general_circuits.claims.findings import CONTRADICTED, REGISTERED, SUPPORTED, UNDECIDED, Finding, beyond
from general_circuits.registered import REGISTERED as REGISTERED_CHOICES

pytestmark = pytest.mark.filterwarnings("error")

STEPS = (0, 1000, 2000, 3000)
EVENTS = {"memorised": 0, "onset": 1000, "generalised": 2000}
"""The late window has two checkpoints, the last two: its median is their mean."""

GAUSSIAN, SKEWED = "gaussian", "skewed"
REPLICAS = pytest.mark.parametrize("replicas", [5, 10])


def noise(kind: str, size: Sequence[int], generator: np.random.Generator) -> Array:
    """Draw noise of mean 0 and standard deviation 1; skewed noise is from a gamma distribution of skewness 1."""
    return generator.normal(size=size) if kind == GAUSSIAN else (generator.gamma(4, size=size) - 4) / 2


def events(replicas: int, censored: int) -> pd.DataFrame:
    """Build grokking's `events` table, at which controls are read, too; `censored` replicas never generalise."""
    keys = pd.MultiIndex.from_product([["grokking"], range(replicas), EVENTS], names=["condition", "replica", "event"])
    frame = keys.to_frame(index=False)
    lost = (frame["event"] == "generalised") & (frame["replica"] < censored)
    return frame.assign(step=frame["event"].map(EVENTS), censored=lost)


@cache
def rows(conditions: tuple[str, ...], replicas: int, **names: tuple[str | int, ...]) -> pd.DataFrame:
    """Build a row per condition, replica, `names` and step, for the last layer on training examples."""
    keys = {"condition": conditions, "replica": range(replicas), **names, "step": STEPS, "split": ["train"]}
    frame = pd.MultiIndex.from_product(list(keys.values()), names=list(keys)).to_frame(index=False)
    words = {name: pd.Categorical(frame[name], list(keys[name])) for name in keys if isinstance(keys[name][0], str)}
    return frame.assign(layer=0, **words)


def covering(estimates: Iterable[Estimate], truth: float) -> int:
    """Count the intervals that hold the true value."""
    return sum(estimate.low <= truth <= estimate.high for estimate in estimates)


def at_most(count: int, trials: int, probability: float) -> bool:
    """Tell whether a count of errors is no larger than chance allows at this probability."""
    return bool(count <= stats.binom.ppf(0.999, trials, probability))


def at_nominal_rate(count: int, trials: int) -> bool:
    """Tell whether a count of covering intervals is compatible with 95 %."""
    low, high = stats.binom.interval(0.999, trials, 0.95)
    return bool(low <= count <= high)


def near_nominal_rate(count: int, trials: int) -> bool:
    """Tell whether a count of covering intervals is compatible with at least 92 %; for skewed noise."""
    return bool(count >= stats.binom.ppf(0.0005, trials, 0.92))


# saliency_skew: each control of a study is one simulated random labels. Grokking's change is exact and the noise of a
# pair is its control's, so that the contrasts of one study are independent.

SKEW_STUDIES, SKEW_CONTROLS = 5, 25
SHARED = 0.2
"""Change of L-skewness that all conditions share."""


def judged_skew(changes: Mapping[str, Array], censored: int = 0) -> dict[str, Finding]:
    """Return findings on L-skewness that changes at t_g; changes are (replica) by condition."""
    replicas = len(changes["grokking"])
    late = np.array(STEPS) >= EVENTS["generalised"]
    levels = np.linspace(0.1, 0.3, replicas)[:, None]
    values = np.concatenate([levels + change[:, None] * late for change in changes.values()]).ravel()
    frame = rows(tuple(changes), replicas, statistic=("mean_magnitude",), dead_units=("excluded",))
    unmeasured = {"gini": np.nan, "median": np.nan, "moment_skewness": np.nan, "degenerate": False}
    tables = {"events": events(replicas, censored), "distribution": frame.assign(l_skewness=values, **unmeasured)}
    return {finding.contrast: finding for finding in saliency_skew.judge(tables)}


@cache
def skew_estimates(
    change: float, spread: float, kind: str, replicas: int, studies: int = SKEW_STUDIES
) -> list[Estimate]:
    """Estimate simulated pairs whose true difference is `change`, the registered pair of each study and its others."""
    generator = np.random.default_rng([replicas, int(1000 * abs(change)), kind == GAUSSIAN])
    names = ["random_labels", *(f"control_{i}" for i in range(1, SKEW_CONTROLS))]
    estimates = []
    for _ in range(studies):
        controls = SHARED - spread * noise(kind, (SKEW_CONTROLS, replicas), generator)
        exact = np.full(replicas, change + SHARED)
        found = judged_skew({"grokking": exact, **dict(zip(names, controls, strict=True))})
        assert found[REGISTERED].verdict == beyond(found[REGISTERED].estimate, saliency_skew.THRESHOLD)
        estimates += [found[REGISTERED].estimate, *(found[f"minus {name}"].estimate for name in names[1:])]
    return estimates


def skew_verdicts(estimates: Iterable[Estimate]) -> list[str]:
    """Return verdicts by the registered rule; `skew_estimates` asserts that `judge` applies this rule."""
    return [beyond(estimate, saliency_skew.THRESHOLD) for estimate in estimates]


def unmoved_skew(replicas: int) -> list[Estimate]:
    """Simulate studies in which grokking changes as random labels do."""
    return skew_estimates(0.0, 0.2, GAUSSIAN, replicas)


def skew_at_threshold(replicas: int) -> list[Estimate]:
    """Simulate studies in which grokking changes by exactly the registered threshold more than random labels."""
    return skew_estimates(saliency_skew.THRESHOLD, 0.05, GAUSSIAN, replicas)


@REPLICAS
def test_skew_intervals_cover_the_planted_change_at_their_nominal_rate(replicas: int) -> None:
    unmoved, moved = unmoved_skew(replicas), skew_at_threshold(replicas)
    covered = covering(unmoved, 0.0) + covering(moved, saliency_skew.THRESHOLD)
    assert at_nominal_rate(covered, len(unmoved) + len(moved))


@REPLICAS
def test_skew_intervals_cover_nearly_as_often_where_replicas_vary_skewedly(replicas: int) -> None:
    estimates = skew_estimates(0.1, 0.05, SKEWED, replicas)
    assert near_nominal_rate(covering(estimates, 0.1), len(estimates))


@REPLICAS
def test_skewness_that_moves_as_in_random_labels_is_decided_in_at_most_5_percent(replicas: int) -> None:
    verdicts = skew_verdicts(unmoved_skew(replicas))
    assert at_most(verdicts.count(SUPPORTED), len(verdicts), 0.05)
    assert at_most(verdicts.count(CONTRADICTED), len(verdicts), 0.05)


@REPLICAS
def test_a_change_at_the_threshold_is_supported_in_at_most_2_5_percent(replicas: int) -> None:
    verdicts = skew_verdicts(skew_at_threshold(replicas))
    assert at_most(verdicts.count(SUPPORTED), len(verdicts), 0.025)


@REPLICAS
def test_a_large_change_of_skewness_is_supported_in_nearly_all(replicas: int) -> None:
    verdicts = skew_verdicts(skew_estimates(0.25, 0.05, GAUSSIAN, replicas, studies=1))
    assert verdicts.count(SUPPORTED) > 0.95 * len(verdicts)


@pytest.mark.parametrize(("replicas", "censored"), [(1, 0), (2, 0), (5, 3)])
@pytest.mark.parametrize("change", [-0.5, 0.0, 0.5])
def test_fewer_than_three_replicas_decide_nothing_about_skewness(replicas: int, censored: int, change: float) -> None:
    generator = np.random.default_rng(0)
    grokking, control = np.array([[change], [0.0]]) + 0.001 * generator.normal(size=(2, replicas))
    found = judged_skew({"grokking": grokking, "random_labels": control}, censored)[REGISTERED]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, replicas - censored)


# topk_damage: D rises along a profile, by a rise that varies between replicas; checkpoints vary as well.

Profile = tuple[float, float, float, float]
STEADY: Profile = (0.0, 0.4, 0.8, 1.2)
AS_FAST_AFTER: Profile = (0.0, 0.1, 0.7, 1.3)
WHILE_GENERALISING: Profile = (0.0, 0.05, 1.0, 1.0)
"""Profiles over `STEPS`. Each rises by 1 from t_m to the late window; the last is fastest within [t_o, t_g]."""

DAMAGE_STUDIES = 35
RISE, SPREAD, CHECKPOINT = 0.3, 0.1, 0.01
DAMAGE_RISE, EXCESS_RISE = "damage rise", "excess damage rise"


def judged_damage(top: Array, random: Array, censored: int = 0) -> dict[str, Finding]:
    """Return findings on D under the two rankings that decide, (replica, step)."""
    choices = {**REGISTERED_CHOICES, "by": "mean_magnitude", "deletion": "zero", "dead_units": "included"}
    names = {name: (choice,) for name, choice in choices.items() if name != "split"}
    frame = rows(("grokking",), len(top), ranking=("top", "random"), **names)
    area = np.stack([top, random], axis=1).ravel()
    damage = frame.assign(area=area, margin_area=np.nan, matched_margin_area=np.nan)
    tables = {"events": events(len(top), censored), "damage": damage}
    return {finding.contrast: finding for finding in topk_damage.judge(tables)}


@cache
def damage_studies(profile: Profile, rise: float, kind: str, replicas: int, count: int) -> list[dict[str, Finding]]:
    """Simulate studies whose D_top truly rises by `rise`, with noise of this kind; D_random has Gaussian noise only."""
    assert np.mean(profile[2:]) - profile[0] == pytest.approx(1)
    generator = np.random.default_rng([replicas, int(1000 * rise), kind == GAUSSIAN, int(1000 * profile[1])])
    studies = []
    for _ in range(count):
        rises = (
            rise + SPREAD * noise(kind, (replicas,), generator),
            SPREAD / 2 * noise(GAUSSIAN, (replicas,), generator),
        )
        # D_random is the mean of many draws, and steadier.
        unsteady = np.array([CHECKPOINT, CHECKPOINT / 5])[:, None, None] * noise(GAUSSIAN, (2, replicas, 4), generator)
        top, random = 0.2 + np.stack(rises)[:, :, None] * np.array(profile) + unsteady
        studies.append(judged_damage(top, random))
    return studies


def of_contrast(studies: Iterable[Mapping[str, Finding]], contrast: str) -> list[Estimate]:
    return [study[contrast].estimate for study in studies]


def verdicts_of(studies: Iterable[Mapping[str, Finding]]) -> list[str]:
    return [study[REGISTERED].verdict for study in studies]


def still(replicas: int) -> list[dict[str, Finding]]:
    """Simulate studies in which damage and excess do not change."""
    return damage_studies(STEADY, 0.0, GAUSSIAN, replicas, DAMAGE_STUDIES)


def as_fast_after(replicas: int) -> list[dict[str, Finding]]:
    """Simulate studies in which both rise as fast after [t_o, t_g] as within, and faster than before."""
    return damage_studies(AS_FAST_AFTER, RISE, GAUSSIAN, replicas, DAMAGE_STUDIES)


def steady(replicas: int) -> list[dict[str, Finding]]:
    """Simulate studies in which both rise at one rate throughout, by amounts with skewed noise between replicas."""
    return damage_studies(STEADY, RISE, SKEWED, replicas, DAMAGE_STUDIES)


@REPLICAS
@pytest.mark.parametrize("contrast", [DAMAGE_RISE, EXCESS_RISE])
def test_damage_intervals_cover_the_planted_rise_at_their_nominal_rate(contrast: str, replicas: int) -> None:
    covered = covering(of_contrast(still(replicas), contrast), 0.0)
    covered += covering(of_contrast(as_fast_after(replicas), contrast), RISE)
    assert at_nominal_rate(covered, 2 * DAMAGE_STUDIES)


@REPLICAS
def test_the_registered_interval_covers_the_planted_rise_of_the_excess_at_its_nominal_rate(replicas: int) -> None:
    """Only a rise is tested; where damage falls, the shown interval is chosen because of its fall."""
    assert at_nominal_rate(covering(of_contrast(as_fast_after(replicas), REGISTERED), RISE), DAMAGE_STUDIES)


@REPLICAS
@pytest.mark.parametrize("contrast", [REGISTERED, DAMAGE_RISE, EXCESS_RISE])
def test_damage_intervals_cover_nearly_as_often_where_replicas_vary_skewedly(contrast: str, replicas: int) -> None:
    assert near_nominal_rate(covering(of_contrast(steady(replicas), contrast), RISE), DAMAGE_STUDIES)


@REPLICAS
def test_damage_that_does_not_move_is_decided_in_at_most_5_percent(replicas: int) -> None:
    """Contradicted by either of two rises, each below 0 by chance in 2.5 %."""
    verdicts = verdicts_of(still(replicas))
    assert at_most(verdicts.count(SUPPORTED), DAMAGE_STUDIES, 0.05)
    assert at_most(verdicts.count(CONTRADICTED), DAMAGE_STUDIES, 0.05)


@REPLICAS
@pytest.mark.parametrize("simulated", [steady, as_fast_after])
def test_a_rise_no_faster_while_generalising_is_supported_in_at_most_5_percent(
    simulated: Callable[[int], list[dict[str, Finding]]], replicas: int
) -> None:
    assert at_most(verdicts_of(simulated(replicas)).count(SUPPORTED), DAMAGE_STUDIES, 0.05)


@REPLICAS
def test_a_large_rise_while_generalising_is_supported_in_nearly_all(replicas: int) -> None:
    verdicts = verdicts_of(damage_studies(WHILE_GENERALISING, 0.5, GAUSSIAN, replicas, 10))
    assert verdicts.count(SUPPORTED) >= 9


@pytest.mark.parametrize(("replicas", "censored"), [(1, 0), (2, 0), (5, 3)])
@pytest.mark.parametrize("rise", [-0.5, 0.0, 0.5])
def test_fewer_than_three_replicas_decide_nothing_about_damage(replicas: int, censored: int, rise: float) -> None:
    unsteady = 0.001 * np.random.default_rng(0).normal(size=(2, replicas, 4))
    top, random = 0.5 + np.array([rise, 0.0])[:, None, None] * np.array(WHILE_GENERALISING) + unsteady
    found = judged_damage(top, random, censored)[REGISTERED]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, replicas - censored)


def test_intervals_of_both_claims_together_cover_at_their_nominal_rate() -> None:
    """Both numbers of replicas are pooled, which gives enough intervals to tell 95 % from 90 %."""
    intervals = [
        (estimates, truth)
        for replicas in (5, 10)
        for estimates, truth in (
            (unmoved_skew(replicas), 0.0),
            (skew_at_threshold(replicas), saliency_skew.THRESHOLD),
            (of_contrast(still(replicas), DAMAGE_RISE), 0.0),
            (of_contrast(as_fast_after(replicas), DAMAGE_RISE), RISE),
        )
    ]
    covered = sum(covering(estimates, truth) for estimates, truth in intervals)
    assert at_nominal_rate(covered, sum(len(estimates) for estimates, _ in intervals))
