"""Small tables of claims and verdicts that several tests share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from general_circuits.claims import verdicts
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, REGISTERED, SUPPORTED

MARKUP = '<b>&"'
"""What must not reach a page as it is."""


def claim(name: str, verdict: str, estimate: float, p_value: float, replicas: int = 5) -> pd.DataFrame:
    """A `claim` table: the registered contrast ± 0.1, and two beside it, of which one has another unit."""
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
    """A `claim` table of a study that lacks a condition."""
    row = claim(name, NOT_TESTABLE, np.nan, np.nan, 0)[:1]
    return row.assign(unit="", sentence="A condition is missing.")


def two_claims() -> list[pd.DataFrame]:
    """One supported beyond Holm's adjustment, and one contradicted that is not confirmed."""
    return [claim("saliency_skew", SUPPORTED, 0.25, 0.0001), claim("topk_damage", CONTRADICTED, -0.75, 0.0625)]


def all_verdicts() -> pd.DataFrame:
    """The `verdicts` table: those two, and every other claim without data."""
    return verdicts.merge(two_claims())
