"""Table of all claims: those with data are tested together, and the others say why they have none."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from general_circuits.analysis.estimates import holm
from general_circuits.claims.findings import CONTRADICTED, NOT_TESTABLE, REGISTERED, SUPPORTED, is_registered
from general_circuits.claims.registry import CLAIMS

CONFIRMED_BELOW = 0.05
"""Adjusted p below which a verdict for or against counts as confirmed."""


def merge(claims: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Merge `claim` tables into the `verdicts` table: one row for each verdict of each claim of the source.

    `p_adjusted` is p after Holm's adjustment over all verdicts that have data. `confirmed` says whether a verdict for
    or against also survives that adjustment. The verdict itself rests on the interval alone.
    """
    judged = pd.concat(claims, ignore_index=True)
    judged = judged[judged["contrast"].map(is_registered)].astype({"claim": str, "verdict": str})
    judged["p_adjusted"] = holm(judged["p_value"])
    decided = judged["verdict"].isin([SUPPORTED, CONTRADICTED])
    judged["confirmed"] = decided & (judged["p_adjusted"] < CONFIRMED_BELOW)
    others = pd.DataFrame(
        {
            "claim": name,
            "contrast": REGISTERED,
            "unit": "",
            "replicas": 0,
            "verdict": NOT_TESTABLE,
            "confirmed": False,
            "sentence": "Not testable in this study: not measured yet.",
        }
        for name in CLAIMS
        if name not in set(judged["claim"])
    )
    return pd.concat([judged, others], ignore_index=True)[judged.columns]
