"""Findings of all claims → the table of verdicts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import benjamini_hochberg
from general_circuits.claims.findings import NOT_MEASURED, REGISTERED, is_registered
from general_circuits.claims.registry import CLAIMS

OF_CONTRASTS = ["p_supported", "p_contradicted", "p_value", "values"]
"""Columns of a `claim` table that `verdicts` does without."""


def merge(claims: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge `claim` tables into the `verdicts` table: one row for each primary contrast of each claim of the source.

    `p_adjusted` is the p-value adjusted by Benjamini and Hochberg over all primary contrasts that have data. It decides
    nothing: a verdict rests on its own two tests.
    """
    judged = pd.concat(claims, ignore_index=True)
    judged = judged[judged["contrast"].map(is_registered)].astype({"claim": str, "verdict": str})
    # Two one-sided tests are made, so the smaller p-value counts twice.
    smaller = np.minimum(judged["p_supported"], judged["p_contradicted"])
    judged["p_adjusted"] = benjamini_hochberg(np.minimum(2 * smaller, 1.0))
    others = pd.DataFrame(
        {
            "claim": name,
            "contrast": REGISTERED,
            "unit": "",
            "replicas": 0,
            "replicas_needed": 0,
            "verdict": NOT_MEASURED,
            "reason": "",
            "is_lacking": False,
            "sentence": "Not measured yet.",
        }
        for name in CLAIMS
        if name not in set(judged["claim"])
    )
    return pd.concat([judged.drop(columns=OF_CONTRASTS), others], ignore_index=True)
