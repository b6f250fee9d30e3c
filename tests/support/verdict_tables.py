"""Small tables of claims and verdicts that several tests share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from general_circuits.claims import verdicts
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, REGISTERED, SUPPORTED, Finding

MARKUP = '<b>&"'
"""Text that a page must escape."""


def claim(name: str, verdict: str, estimate: float, p_value: float, replicas: int = 5) -> pd.DataFrame:
    """Build a `claim` table: the registered contrast ± 0.1, and two beside it, one of them in another unit."""
    middle = np.array([estimate, 0.5, np.nan])
    return pd.DataFrame(
        {
            "claim": name,
            "contrast": [REGISTERED, f"beside {MARKUP}", "elsewhere"],
            "unit": ["L-skewness", "L-skewness", "logits"],
            "estimate": middle,
            "low": middle - 0.1,
            "high": middle + 0.1,
            "p_value": [p_value, 0.5, np.nan],
            "replicas": [replicas, replicas, 0],
            "verdict": [verdict, "", ""],
            "sentence": [f"{name} was {MARKUP} judged.", "Beside.", "Elsewhere."],
        }
    ).astype({"claim": "category", "verdict": "category"})


def untestable(name: str) -> pd.DataFrame:
    """Build a `claim` table of a study that lacks a condition."""
    row = claim(name, NOT_TESTABLE, np.nan, np.nan, 0)[:1]
    return row.assign(unit="", sentence="A condition is missing.")


def two_claims() -> list[pd.DataFrame]:
    """Build two `claim` tables: one supported and confirmed by Holm's adjustment, one contradicted, not confirmed."""
    return [claim("saliency_skew", SUPPORTED, 0.25, 0.0001), claim("topk_damage", CONTRADICTED, -0.75, 0.0625)]


def all_verdicts() -> pd.DataFrame:
    """Build the `verdicts` table of these two claims; every other claim has no data."""
    return verdicts.merge(two_claims())


def by_contrast(findings: list[Finding]) -> dict[str, Finding]:
    """Return findings by the names of their contrasts."""
    return {finding.contrast: finding for finding in findings}
