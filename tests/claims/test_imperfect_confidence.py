"""Verdicts on the confidence of the plateau, and on branches that remove the leftover gradient."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from rise_tables import PROBABILITIES, events, table
from variant_tables import AT, NEVER, RATE, study
from verdict_tables import by_contrast

from general_circuits.claims import imperfect_confidence
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, Finding


def judged(metrics: pd.DataFrame, of_events: pd.DataFrame) -> Finding:
    """Judge grokking alone."""
    conditions = pd.DataFrame(
        [("grokking", "optimiser.weight_decay", "1.0")], columns=["condition", "setting", "value"]
    )
    return imperfect_confidence.judge({"metrics": metrics, "events": of_events, "conditions": conditions})[0]


def doubting(doubt: float) -> pd.DataFrame:
    """Build metrics with this doubt from t_m = 100 to t_o = 1,000, a little more in each replica; else it is a half."""

    def probability(steps: np.ndarray, replica: int) -> np.ndarray:
        inside = (steps >= 100) & (steps <= 1000)
        return np.where(inside, 1 - doubt * (1 + 0.01 * replica), 0.5)

    return table(**{f"train_{name}": probability for name in PROBABILITIES})


@pytest.mark.parametrize(
    ("doubt", "verdict"), [(0.05, SUPPORTED), (3e-3, BETWEEN), (1e-5, CONTRADICTED), (0.0, CONTRADICTED)]
)
def test_only_the_plateau_counts(doubt: float, verdict: str) -> None:
    finding = judged(doubting(doubt), events())
    assert finding.verdict == verdict
    assert finding.estimate.mean == pytest.approx(np.log10(max(doubt * 1.02, 1e-17)), abs=0.01)


def test_evaluations_that_crowd_early_steps_do_not_bias_the_doubt() -> None:
    """Log10 of doubt falls from −1 to −6 along a line, so its true mean is −3.5. Evaluations are dense at first."""
    steps = np.unique(np.geomspace(100, 1000, 60).round()).astype(int)
    rng = np.random.default_rng(0)
    rows = [
        ("grokking", replica, step, "train", 1 - 10 ** (-1 - 5 * (step - 100) / 900 + rng.normal(0, 0.2)))
        for replica in range(40)
        for step in steps
    ]
    frame = pd.DataFrame(rows, columns=["condition", "replica", "step", "split", "correct_probability"])
    frame = frame.assign(**dict.fromkeys(PROBABILITIES, frame["correct_probability"]))
    finding = judged(frame, events(replicas=40))
    assert finding.estimate.mean == pytest.approx(-3.5, abs=0.03)
    assert finding.estimate.low < -3.5 < finding.estimate.high
    assert np.log10(1 - frame["correct_probability"]).mean() > -2.9


@pytest.mark.parametrize(
    ("lacking", "verdict"), [({"onset": None}, NOT_TESTABLE), ({"onset": 150}, NOT_TESTABLE), ({}, CONTRADICTED)]
)
@pytest.mark.parametrize("replicas", [1, 2])
def test_at_most_a_fifth_of_the_replicas_may_lack_the_delay(
    lacking: dict[str, int | None], verdict: str, replicas: int
) -> None:
    """An onset at 150 is earlier than twice t_m. Such a replica has no value."""
    of_events = events()
    without = events(**lacking)
    of_events = pd.concat([of_events[of_events["replica"] >= replicas], without[without["replica"] < replicas]])
    finding = judged(doubting(1e-5), of_events)
    assert finding.verdict == (verdict if replicas == 2 else CONTRADICTED)
    if finding.verdict == NOT_TESTABLE:
        assert finding.reason.endswith("in 3 of 5 replicas; four fifths must")
    elif lacking:
        assert np.isnan(finding.values).tolist() == [True, False, False, False, False]


def confident(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add probabilities of 0.9 for right answers to the `metrics` table."""
    return {**tables, "metrics": tables["metrics"].assign(**dict.fromkeys(PROBABILITIES, 0.9))}


def test_branches_stand_beside_with_the_steps_that_they_leave() -> None:
    variants = {
        "sure": {AT: "memorised", "branch.intervention.ignore_above": 0.9},
        "stopping": {AT: "onset", "branch.intervention.noise_instead": 0.0, "branch.then": "stop"},
        "elsewhere": {RATE: 0.1},
    }
    left = {
        "grokking": lambda r: 2200.0,
        "sure": lambda r: 0.5 * (2000.0 - r) if r else NEVER,
        "stopping": lambda r: NEVER,
        "elsewhere": lambda r: 10.0,
    }
    findings = by_contrast(imperfect_confidence.judge(confident(study(variants, left))))
    assert [name for name in findings if name.startswith("steps left")] == ["steps left, sure"]
    assert findings["registered"].verdict == SUPPORTED
    assert findings["registered"].estimate.mean == pytest.approx(-1.0)
    assert findings["steps left, sure"].sentence.endswith("; 4 of 5 replicas generalised.")
    # From t_m on, grokking needs 2,000 − r steps.
    assert findings["steps left, sure"].values[1:] == pytest.approx([np.log10(0.5)] * 4)
    assert np.isnan(findings["steps left, sure"].values[0])


def test_both_outer_deciles_of_confidence_stand_beside() -> None:
    """p = 0.9 leaves a doubt of 0.1 at every quantile."""
    findings = by_contrast(imperfect_confidence.judge(confident(study({}, {"grokking": lambda r: 2200.0}))))
    for name in ("10 % quantile of p", "90 % quantile of p"):
        assert findings[name].estimate.mean == pytest.approx(-1.0)
        assert findings[name].sentence.startswith(f"Doubt 1 − p at the {name} over training examples: −1.000 ")


def deciles(sure: float) -> pd.DataFrame:
    """Build the `deciles` table: between t_m and t_o each tenth's gradients are `sure` times the next surer tenth's.

    Elsewhere all gradients are 1.
    """
    rows = [
        ("grokking", replica, step, decile, sure ** (10 - decile) if 200 < step < 1000 else 1.0, 11.0 - decile)
        for replica, step, decile in itertools.product(range(5), (0, 400, 800, 2000), range(1, 11))
    ]
    return pd.DataFrame(rows, columns=["condition", "replica", "step", "decile", "gradient_norm", "validation_fall"])


def test_gradients_are_averaged_over_time() -> None:
    """The checkpoints 400, 410 and 800 lie on the plateau. The norm is 1, 3 and 5: 10 steps at 2, then 390 at 4."""
    tables = confident(study({}, {"grokking": lambda r: 2200.0}))
    rows = [
        ("grokking", replica, step, decile, (norm if decile == 1 else 1.0) if step in (400, 410, 800) else 99.0, 0.0)
        for replica, (step, norm), decile in itertools.product(
            range(5), ((0, 0.0), (150, 0.0), (400, 1.0), (410, 3.0), (800, 5.0), (2000, 0.0)), range(1, 11)
        )
    ]
    columns = ["condition", "replica", "step", "decile", "gradient_norm", "validation_fall"]
    findings = by_contrast(imperfect_confidence.judge({**tables, "deciles": pd.DataFrame(rows, columns=columns)}))
    ratio = findings["gradient norm of the least sure tenth over the surest"].estimate.mean
    assert ratio == pytest.approx(np.log10((10 * 2 + 390 * 4) / 400))


def test_the_sources_of_gradients_stand_beside_confidence() -> None:
    """The findings are means over the plateau; a study without answers is judged without them."""
    tables = confident(study({}, {"grokking": lambda r: 2200.0}))
    without = by_contrast(imperfect_confidence.judge(tables))
    findings = by_contrast(imperfect_confidence.judge({**tables, "deciles": deciles(2.0)}))
    ratio = findings["gradient norm of the least sure tenth over the surest"].estimate.mean
    assert ratio == pytest.approx(9 * np.log10(2))
    share = findings["share of all gradient norms in the least sure tenth"].estimate.mean
    assert share == pytest.approx(512 / 1023)
    fall = findings["fall of validation loss by the least sure tenth's gradient"].estimate.mean
    assert fall == pytest.approx(10.0)
    assert len(without) == len(findings) - 3
