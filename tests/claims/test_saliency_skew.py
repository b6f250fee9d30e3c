"""saliency_skew on simulated tables: planted changes are found beyond every control, and noise is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
import variant_tables
from moment_tables import moments_table, partners, without
from scipy import stats

from general_circuits.analysis.decisions import LOOKS
from general_circuits.claims import saliency_skew
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    Finding,
    part,
)

pytestmark = pytest.mark.filterwarnings("error")

STEPS = np.array([0, 500, 1000, 1500, 2000, 2500, 3000])
EVENTS = {"memorised": 500.0, "onset": 1500.0, "generalised": 2000.0}
IS_LATE = EVENTS["generalised"] <= STEPS
HISTOGRAMS = (
    ("mean_magnitude", "excluded"),
    ("mean_magnitude", "included"),
    ("median", "included"),
    ("breadth", "excluded"),
)
LABELS, BY = "split.label_noise", "split.label_noise_by"
FAMILY: Mapping[str, Mapping[str, object]] = {
    "random_labels": {LABELS: 1.0, BY: "example"},
    "by_pair": {LABELS: 1.0, BY: "pair"},
    "latin_square": {LABELS: 1.0, BY: "latin_square"},
}
SKEWNESS, BREADTH = part("skewness"), part("breadth")
Curve = Callable[[str, int], np.ndarray]
"""Function: condition, replica → L-skewness over `STEPS`; the breadth is a tenth of it."""


def tables(
    curve: Curve,
    replicas: int = 5,
    others: Mapping[str, Mapping[str, object]] = FAMILY,
    censored: Sequence[int] = (),
    memorised: Mapping[str, float] | None = None,
    accuracy: Mapping[str, float] | None = None,
    degenerate: bool = False,
) -> dict[str, pd.DataFrame]:
    """Build the `moments`, `distribution` and `conditions` tables of grokking and other conditions."""
    conditions = ["grokking", *others]
    rows = [
        (condition, replica, step, statistic, dead_units, value)
        for condition in conditions
        for replica in range(replicas)
        for statistic, dead_units in HISTOGRAMS
        for step, value in zip(STEPS, curve(condition, replica), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "step", "statistic", "dead_units", "l_skewness"])
    frame = frame.assign(
        split="train",
        layer=0,
        method="activation_gradient",
        median=frame["l_skewness"] / 10,
        moment_skewness=3 * frame["l_skewness"],
        gini=0.5,
        degenerate=degenerate,
        condition=pd.Categorical(frame["condition"], categories=conditions),
    )
    times = dict.fromkeys(conditions, EVENTS["memorised"]) | dict(memorised or {})
    settings = variant_tables.conditions(others)
    by_default = pd.DataFrame({"condition": "grokking", "setting": [LABELS, BY], "value": ["0.0", '"example"']})
    return {
        "moments": moments_table(partners(replicas, EVENTS, censored), times, int(STEPS[-1]), accuracy),
        "distribution": frame.astype(dict.fromkeys(("split", "method", "statistic", "dead_units"), "category")),
        "conditions": pd.concat([settings, by_default], ignore_index=True),
    }


def planted(changes: Mapping[str, float], seed: int = 0, noise: float = 0.01) -> Curve:
    """Return a curve: 0.1 and noise, plus a condition's change from t_g on."""
    generator = np.random.default_rng(seed)
    return lambda condition, replica: (
        0.1 + changes.get(condition, 0.0) * IS_LATE + noise * generator.normal(size=len(STEPS))
    )


def judged(given: dict[str, pd.DataFrame]) -> dict[str, Finding]:
    findings = saliency_skew.judge(given)
    assert len({finding.contrast for finding in findings}) == len(findings)
    assert [finding.contrast for finding in findings if finding.verdict] == [SKEWNESS, BREADTH]
    return {finding.contrast: finding for finding in findings}


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.2, SUPPORTED), (-0.2, CONTRADICTED), (0.0, BETWEEN), (0.05, UNDECIDED)]
)
def test_a_planted_change_is_found_beyond_every_control(change: float, verdict: str) -> None:
    finding = judged(tables(planted({"grokking": change})))[SKEWNESS]
    assert finding.verdict == verdict
    assert finding.estimate.low < change < finding.estimate.high
    assert "all 5 replicas" in finding.sentence
    assert len(finding.values) == 5


def test_breadth_is_judged_by_itself() -> None:
    """The breadth is a tenth of the skewness here: 0.02, and 0.07."""
    assert judged(tables(planted({"grokking": 0.2})))[BREADTH].verdict == BETWEEN
    assert judged(tables(planted({"grokking": 0.7})))[BREADTH].verdict == SUPPORTED


@pytest.mark.parametrize("control", FAMILY)
def test_a_rise_as_large_in_any_kind_of_random_labels_is_no_evidence(control: str) -> None:
    findings = judged(tables(planted({"grokking": 0.2, control: 0.2}, noise=0.003)))
    assert findings[SKEWNESS].verdict == BETWEEN
    assert control in findings[SKEWNESS].sentence
    assert findings[SKEWNESS].estimate.mean == pytest.approx(0.0, abs=0.02)
    assert findings["skewness, without a control"].estimate.mean == pytest.approx(0.2, abs=0.02)
    assert {f"skewness, minus {name}" for name in FAMILY} <= findings.keys()


def test_the_change_by_hand() -> None:
    """Late medians less the value at the baseline: grokking 0.5 − 0.2, random labels 0.1 − 0.3, others 0."""
    curves = {
        "grokking": np.array([0.9, 0.2, 0.9, 0.9, 0.5, 0.4, 0.8]),
        "random_labels": np.array([0.0, 0.3, 0.0, 0.0, 0.1, 0.0, 0.7]),
    }
    flat = np.zeros(len(STEPS))
    findings = judged(tables(lambda condition, replica: curves.get(condition, flat) + 0.01 * replica, replicas=3))
    assert findings["skewness, minus random_labels"].estimate.mean == pytest.approx(0.3 + 0.2)
    assert findings[SKEWNESS].values == pytest.approx([0.3] * 3)
    assert findings["literal"].estimate.mean == pytest.approx(3 * 0.3)


def test_a_control_is_read_from_its_own_memorisation_on() -> None:
    """It memorises at step 1,000. What it did before is no change of a network that has memorised."""
    steep = np.array([0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    given = tables(lambda condition, replica: steep + 0.001 * replica * IS_LATE, memorised={"by_pair": 1000.0})
    findings = judged(given)
    assert findings["skewness, minus by_pair"].estimate.mean == pytest.approx(0.5)
    assert findings["skewness, minus random_labels"].estimate.mean == pytest.approx(0.0)


def test_replicas_are_paired_with_their_own_control() -> None:
    """Levels that differ between replicas, and rises that the pair shares, cancel exactly."""

    def curve(condition: str, replica: int) -> np.ndarray:
        return replica + (replica + (0.1 if condition == "grokking" else 0.0)) * IS_LATE

    findings = judged(tables(curve))
    assert findings[SKEWNESS].values == pytest.approx([0.1] * 5)
    alone = findings["skewness, without a control"].estimate
    assert alone.high - alone.low > 1


def test_a_censored_replica_is_counted_not_used() -> None:
    def curve(condition: str, replica: int) -> np.ndarray:
        size = 100.0 if replica == 1 else 0.2
        return (size if condition == "grokking" else 0.0) * IS_LATE + 0.001 * replica * STEPS / 1000

    finding = judged(tables(curve, censored=[1]))[SKEWNESS]
    assert (finding.verdict, finding.estimate.n) == (SUPPORTED, 4)
    assert math.isnan(finding.values[1])
    assert "4 of 5 replicas" in finding.sentence


def test_networks_that_did_not_grok_judge_nothing() -> None:
    findings = judged(tables(planted({"grokking": 0.5}), censored=[0, 1]))
    for contrast in (SKEWNESS, BREADTH):
        assert findings[contrast].verdict == NOT_TESTABLE
        assert "validation accuracy left its plateau in 3 of 5 replicas" in findings[contrast].reason
        assert not findings[contrast].is_lacking
    assert findings["skewness, without a control"].estimate.n == 3


def test_replicas_that_never_memorised_count() -> None:
    given = tables(planted({"grokking": 0.2}))
    one = judged({**given, "moments": without(given["moments"], [3])})[SKEWNESS]
    assert (one.verdict, one.estimate.n, len(one.values)) == (SUPPORTED, 4, 5)
    two = judged({**given, "moments": without(given["moments"], [0, 3])})[SKEWNESS]
    assert two.verdict == NOT_TESTABLE
    assert two.reason == "training examples were memorised in 3 of 5 replicas; four fifths must"


def test_a_study_without_a_kind_of_random_labels_says_which() -> None:
    others = {name: own for name, own in FAMILY.items() if name != "by_pair"}
    finding = judged(tables(planted({"grokking": 0.2}), others=others))[SKEWNESS]
    assert finding.is_lacking
    assert finding.reason == "this study has no random labels by unordered pair"


def test_a_control_that_is_not_memorised_in_its_window_does_not_count() -> None:
    """It would decide against the claim. Another control of its kind counts in its place."""
    late = {**FAMILY, "few_by_pair": {**FAMILY["by_pair"], "split.train_size": 0.3}}
    curve = planted({"grokking": 0.2, "by_pair": 0.2})
    for fault in ({"memorised": {"by_pair": 2500.0}}, {"accuracy": {"by_pair": 0.98}}):
        findings = judged(tables(curve, others=late, **fault))  # type: ignore[arg-type]
        assert findings[SKEWNESS].verdict == SUPPORTED
        alone = judged(tables(curve, **fault))[SKEWNESS]  # type: ignore[arg-type]
        assert alone.verdict == NOT_TESTABLE
        assert "by_pair had memorised at its baseline, before t_g in 0 of 5 replicas" in alone.reason


def test_every_baseline_stands_beside_with_its_training_accuracy() -> None:
    findings = judged(tables(planted({}), accuracy={"random_labels": 0.995}))
    assert findings["training accuracy at the baseline, grokking"].values == (1.0,) * 5
    assert findings["training accuracy at the baseline, random_labels"].values == (0.995,) * 5


def test_only_alive_units_of_the_last_layer_on_training_examples_decide() -> None:
    given = tables(planted({"grokking": 0.2}, seed=7))
    right = given["distribution"].assign(layer=1)
    wrong = [right.assign(layer=0), right.assign(split="validation"), right.assign(method="integrated_gradients")]
    wrong = [rows.assign(l_skewness=np.linspace(0, 50, len(rows))) for rows in wrong]
    given["distribution"] = pd.concat([*wrong, right], ignore_index=True)
    assert judged(given)[SKEWNESS].values == judged(tables(planted({"grokking": 0.2}, seed=7)))[SKEWNESS].values


def test_other_conditions_stand_beside_without_a_say() -> None:
    others = {**FAMILY, "too_little_data": {"split.train_size": 0.4}, "no_delay": {"split.train_size": 0.9}}
    findings = judged(tables(planted({"grokking": 0.2, "too_little_data": 0.05, "no_delay": 0.3}), others=others))
    assert findings[SKEWNESS].verdict == SUPPORTED
    assert findings["skewness, minus too_little_data"].estimate.mean == pytest.approx(0.15, abs=0.02)
    assert findings["skewness, minus no_delay"].estimate.mean == pytest.approx(-0.1, abs=0.02)


def test_a_late_window_that_training_cut_is_counted() -> None:
    given = tables(planted({"grokking": 0.2}))
    assert "training ended" not in judged(given)[SKEWNESS].sentence
    cut = given["moments"]["moment"].eq("late_end") & given["moments"]["replica"].isin([0, 3])
    given["moments"] = given["moments"].assign(is_cut=cut)
    assert "In 2 of 5 replicas, training ended within the late window" in judged(given)[SKEWNESS].sentence


def test_the_literal_row_says_where_it_is_degenerate() -> None:
    findings = judged(tables(planted({}), replicas=3, degenerate=True))
    assert f"degenerate at {3 * len(STEPS)} of {3 * len(STEPS)} checkpoints" in findings["literal"].sentence


@pytest.mark.parametrize("replicas", [5, 8])
def test_a_true_change_at_the_threshold_is_supported_no_more_often_than_the_look_allows(replicas: int) -> None:
    """The worst case: one control rises less by exactly the threshold, and the others do not rise at all."""
    simulations = 40
    supported = sum(
        judged(tables(planted({"grokking": 1.0, "by_pair": 0.95}, seed, noise=0.05), replicas))[SKEWNESS].verdict
        == SUPPORTED
        for seed in range(simulations)
    )
    assert supported <= stats.binom.isf(1e-3, simulations, LOOKS[replicas])
