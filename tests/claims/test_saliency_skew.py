"""saliency_skew on simulated tables: planted changes are found, and noise is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from general_circuits.claims import saliency_skew
from general_circuits.claims.findings import CONTRADICTED, REGISTERED, SUPPORTED, UNDECIDED, Finding

pytestmark = pytest.mark.filterwarnings("error")

STEPS = np.array([0, 500, 1000, 1500, 2000, 2500, 3000])
MEMORISED, ONSET, GENERALISED = 500, 1500, 2000
IS_LATE = STEPS >= GENERALISED
HISTOGRAMS = (("mean_magnitude", "excluded"), ("mean_magnitude", "included"), ("median", "included"))
Curve = Callable[[str, int], np.ndarray]
"""Function: condition, replica → L-skewness over `STEPS`."""


def tables(
    curve: Curve,
    replicas: int = 5,
    conditions: Sequence[str] = ("grokking", "random_labels"),
    censored: Sequence[int] = (),
    degenerate: bool = False,
) -> dict[str, pd.DataFrame]:
    """Build the `events` and `distribution` tables."""
    event_rows, rows = [], []
    for condition in conditions:
        for replica in range(replicas):
            never = condition != "grokking" or replica in censored
            for event, step, is_late in (
                ("memorised", MEMORISED, False),
                ("validation_loss_peak", MEMORISED, False),
                ("onset", ONSET, True),
                ("generalised", GENERALISED, True),
            ):
                lost = never and is_late
                event_rows.append((condition, replica, event, 3000 if lost else step, lost))
            values = curve(condition, replica)
            for statistic, dead_units in HISTOGRAMS:
                for step, value in zip(STEPS, values, strict=True):
                    rows.append((condition, replica, step, statistic, dead_units, value))
    events = pd.DataFrame(event_rows, columns=["condition", "replica", "event", "step", "censored"])
    frame = pd.DataFrame(rows, columns=["condition", "replica", "step", "statistic", "dead_units", "l_skewness"])
    frame = frame.assign(
        split="train",
        layer=0,
        method="activation_gradient",
        neurons=64,
        median=0.5,
        zero_fraction=0.0,
        moment_skewness=3 * frame["l_skewness"],
        quantile_skewness=frame["l_skewness"],
        gini=0.5,
        degenerate=degenerate,
    )
    for name in ("split", "method", "statistic", "dead_units"):
        frame[name] = frame[name].astype("category")
    events["event"] = events["event"].astype("category")
    return {
        name: part.assign(condition=pd.Categorical(part["condition"], categories=list(conditions)))
        for name, part in (("events", events), ("distribution", frame))
    }


def planted(change: float, seed: int, control: float = 0.0, noise: float = 0.01) -> Curve:
    """Return a curve: 0.1 and noise, plus `change` in grokking or `control` elsewhere from t_g on."""
    generator = np.random.default_rng(seed)

    def curve(condition: str, replica: int) -> np.ndarray:
        late = change if condition == "grokking" else control
        return 0.1 + late * IS_LATE + noise * generator.normal(size=len(STEPS))

    return curve


def judged(given: dict[str, pd.DataFrame]) -> dict[str, Finding]:
    found = saliency_skew.judge(given)
    assert len({finding.contrast for finding in found}) == len(found)
    assert [finding.contrast for finding in found if finding.verdict] == [REGISTERED]
    return {finding.contrast: finding for finding in found}


def test_a_planted_rise_is_supported() -> None:
    found = judged(tables(planted(0.2, seed=0)))[REGISTERED]
    assert found.verdict == SUPPORTED
    assert found.estimate.low < 0.2 < found.estimate.high
    assert found.estimate.p_value < 0.05
    assert "all 5 replicas" in found.sentence


def test_a_planted_fall_is_contradicted() -> None:
    found = judged(tables(planted(-0.2, seed=1)))[REGISTERED]
    assert found.verdict == CONTRADICTED
    assert found.estimate.high < -0.05
    assert found.estimate.p_value < 0.05


def test_a_rise_as_large_in_random_labels_is_no_evidence() -> None:
    found = judged(tables(planted(0.2, seed=2, control=0.2)))
    assert found[REGISTERED].verdict == UNDECIDED
    assert found["without the control"].estimate.mean == pytest.approx(0.2, abs=0.03)


def test_a_rise_smaller_than_the_threshold_is_undecided_however_certain() -> None:
    found = judged(tables(planted(0.04, seed=3, noise=1e-4)))[REGISTERED]
    assert found.estimate.low > 0
    assert found.verdict == UNDECIDED
    assert found.estimate.p_value == 1


def test_the_registered_change_by_hand() -> None:
    """Late medians less the value at t_m: grokking 0.5 − 0.2, random labels 0.1 − 0.3."""
    curves = {
        "grokking": np.array([0.9, 0.2, 0.9, 0.9, 0.5, 0.4, 0.8]),
        "random_labels": np.array([0.0, 0.3, 0.0, 0.0, 0.1, 0.0, 0.7]),
    }
    found = judged(tables(lambda condition, replica: curves[condition] + 0.01 * replica, replicas=3))
    assert found[REGISTERED].estimate.mean == pytest.approx(0.3 + 0.2)
    assert found["literal"].estimate.mean == pytest.approx(3 * 0.3)


def test_replicas_are_paired_with_their_own_control() -> None:
    """Levels that differ between replicas, and rises that the pair shares, cancel exactly."""

    def curve(condition: str, replica: int) -> np.ndarray:
        return replica + (replica + (0.1 if condition == "grokking" else 0.0)) * IS_LATE

    found = judged(tables(curve))
    assert found[REGISTERED].estimate.mean == pytest.approx(0.1)
    assert found[REGISTERED].estimate.high - found[REGISTERED].estimate.low < 1e-9
    assert found["without the control"].estimate.high - found["without the control"].estimate.low > 1


def test_the_control_is_read_at_its_partners_steps() -> None:
    """Random labels never generalise; their window is grokking's."""
    found = judged(tables(planted(0.2, seed=4, control=-0.1)))[REGISTERED]
    assert found.estimate.n == 5
    assert found.estimate.mean == pytest.approx(0.3, abs=0.03)


def test_censored_replicas_are_counted_not_used() -> None:
    def curve(condition: str, replica: int) -> np.ndarray:
        size = 100.0 if replica in (1, 3) else 0.2
        return (size if condition == "grokking" else 0.0) * IS_LATE + 0.001 * replica * STEPS / 1000

    found = judged(tables(curve, censored=(1, 3)))[REGISTERED]
    assert (found.verdict, found.estimate.n) == (SUPPORTED, 3)
    assert "3 of 5 replicas" in found.sentence


def test_two_replicas_left_decide_nothing() -> None:
    found = judged(tables(planted(0.5, seed=5), censored=(0, 1, 2)))[REGISTERED]
    assert (found.verdict, found.estimate.n) == (UNDECIDED, 2)


def test_nothing_is_decided_where_every_replica_is_censored() -> None:
    found = judged(tables(planted(0.5, seed=6), censored=range(5)))
    assert found[REGISTERED].verdict == UNDECIDED
    assert "0 of 5 replicas" in found[REGISTERED].sentence
    assert all(finding.estimate.n == 0 and math.isnan(finding.estimate.mean) for finding in found.values())


@pytest.mark.parametrize("missing", ["grokking", "random_labels"])
def test_skewness_that_was_never_measured_decides_nothing(missing: str) -> None:
    def curve(condition: str, replica: int) -> np.ndarray:
        return np.full(len(STEPS), np.nan if condition == missing else 0.1)

    assert judged(tables(curve))[REGISTERED].verdict == UNDECIDED


def test_only_alive_units_of_the_last_layer_on_training_examples_decide() -> None:
    given = tables(planted(0.2, seed=7))
    right = given["distribution"].assign(layer=1)
    wrong = [right.assign(layer=0), right.assign(split="validation"), right.assign(method="integrated_gradients")]
    wrong = [part.assign(l_skewness=np.linspace(0, 50, len(part))) for part in wrong]
    given["distribution"] = pd.concat([*wrong, right], ignore_index=True)
    assert judged(given)[REGISTERED] == judged(tables(planted(0.2, seed=7)))[REGISTERED]


def test_every_other_control_stands_beside_without_a_say() -> None:
    names = ("grokking", "random_labels", "too_little_data", "no_delay")

    def curve(condition: str, replica: int) -> np.ndarray:
        late = {"grokking": 0.2, "too_little_data": 0.05, "no_delay": 0.3}.get(condition, 0.0)
        return late * IS_LATE + 0.001 * replica * STEPS / 1000

    found = judged(tables(curve, conditions=names))
    assert found[REGISTERED].estimate.mean == pytest.approx(0.2)
    assert found["minus too_little_data"].estimate.mean == pytest.approx(0.15)
    assert found["minus no_delay"].estimate.mean == pytest.approx(-0.1)
    assert "minus random_labels" not in found


def test_the_literal_row_says_where_it_is_degenerate() -> None:
    found = judged(tables(planted(0.2, seed=8), replicas=3, degenerate=True))
    assert f"degenerate at {3 * len(STEPS)} of {3 * len(STEPS)} checkpoints" in found["literal"].sentence
    assert "degenerate at 0 of" in judged(tables(planted(0.2, seed=8)))["literal"].sentence


def test_noise_is_supported_in_at_most_5_percent() -> None:
    """The true change is exactly the threshold, the worst case."""
    simulations = 60
    supported = sum(
        judged(tables(planted(0.05, seed, noise=0.05)))[REGISTERED].verdict == SUPPORTED for seed in range(simulations)
    )
    assert supported <= stats.binom.ppf(0.999, simulations, 0.05)


def test_the_registered_rule_errs_in_at_most_5_percent() -> None:
    """The rule alone is tested, on more changes than there is time to simulate tables for."""
    generator = np.random.default_rng(0)
    simulations = 1500
    for change in (-0.05, 0.0, 0.05):
        drawn = generator.normal(change, 0.05, size=(simulations, 5))
        decided = [saliency_skew._registered(one, 5).verdict != UNDECIDED for one in drawn]
        assert sum(decided) <= stats.binom.ppf(0.999, simulations, 0.05)


def test_verdict_and_p_value_agree() -> None:
    generator = np.random.default_rng(1)
    for _ in range(500):
        found = saliency_skew._registered(generator.normal(0, 0.1, size=5), 5)
        assert (found.verdict != UNDECIDED) == (found.estimate.p_value < 0.05)
