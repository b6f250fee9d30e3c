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
from general_circuits.claims.findings import CONTRADICTED, SUPPORTED, UNDECIDED


@pytest.mark.parametrize(
    ("doubt", "verdict"), [(0.05, SUPPORTED), (3e-3, UNDECIDED), (1e-5, CONTRADICTED), (0.0, CONTRADICTED)]
)
def test_only_the_plateau_counts(doubt: float, verdict: str) -> None:
    """Before t_m and after t_o the doubt is a half."""

    def probability(steps: np.ndarray, replica: int) -> np.ndarray:
        inside = (steps >= 100) & (steps <= 1000)
        return np.where(inside, 1 - doubt * (1 + 0.01 * replica), 0.5)

    metrics = table(**{f"train_{name}": probability for name in PROBABILITIES})
    conditions = pd.DataFrame(
        [("grokking", "optimiser.weight_decay", "1.0")], columns=["condition", "setting", "value"]
    )
    tables = {"metrics": metrics, "events": events(), "conditions": conditions}
    finding = imperfect_confidence.judge(tables)[0]
    assert finding.verdict == verdict
    assert finding.estimate.mean == pytest.approx(np.log10(max(doubt * 1.02, 1e-17)), abs=0.01)


def confident(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Add probabilities of 0.9 for right answers to the `metrics` table."""
    return {**tables, "metrics": tables["metrics"].assign(**dict.fromkeys(PROBABILITIES, 0.9))}


def test_branches_stand_beside_with_the_steps_that_they_leave() -> None:
    variants = {"sure": {AT: "memorised", "branch.intervention.ignore_above": 0.9}, "elsewhere": {RATE: 0.1}}
    left = {
        "grokking": lambda r: 2200.0,
        "sure": lambda r: 4 * (2000.0 - r) if r else NEVER,
        "elsewhere": lambda r: 10.0,
    }
    findings = by_contrast(imperfect_confidence.judge(confident(study(variants, left))))
    assert "steps left, elsewhere" not in findings
    assert findings["registered"].verdict == UNDECIDED or findings["registered"].estimate.mean == pytest.approx(-1.0)
    assert "generalised" in findings["steps left, sure"].sentence


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
