"""Small tables of claims and verdicts that several tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from general_circuits.claims import verdicts
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    NOT_TESTABLE,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    part,
)
from general_circuits.storage.schemas.claim import TABLE as CLAIM

MARKUP = '<b>&"'
"""Text that a page must escape."""

SUPPORTED_BEYOND, CONTRADICTED_BEYOND = 0.1, -0.5
"""Thresholds of every primary contrast."""

REASON = "training accuracy is 0.55"
"""Reason of the part that is not testable."""


def claim(
    name: str, verdict: str, estimate: float, p: float, replicas: int = 5, needed: int = 0, contrast: str = REGISTERED
) -> pd.DataFrame:
    """Build a `claim` table: a primary contrast ± 0.1, and two contrasts beside it, one of them in another unit.

    Args:
        name: name of the claim.
        verdict: verdict on the primary contrast.
        estimate: estimate of the primary contrast.
        p: the smaller of its two one-sided p-values; both of them where the verdict is "between".
        replicas: number of replicas.
        needed: number of replicas that would decide.
        contrast: name of the primary contrast.
    """
    larger = p if verdict == BETWEEN else 1 - p
    sides = (p, larger) if estimate > SUPPORTED_BEYOND else (larger, p)
    primary = _row(
        contrast,
        estimate,
        verdict=verdict,
        supported_beyond=SUPPORTED_BEYOND,
        contradicted_beyond=CONTRADICTED_BEYOND,
        p_supported=sides[0],
        p_contradicted=sides[1],
        replicas=replicas,
        replicas_needed=needed,
        values=[estimate] * replicas,
        sentence=f"{name} was {MARKUP} judged.",
    )
    beside = _row(f"beside {MARKUP}", 0.5, p_value=0.5, replicas=replicas, sentence="Beside.")
    elsewhere = _row("elsewhere", np.nan, unit="logits", sentence="Elsewhere.")
    return _table(name, [primary, beside, elsewhere])


def untestable(name: str) -> pd.DataFrame:
    """Build a `claim` table of a study that lacks a condition."""
    return _table(name, [_lacking(REGISTERED)])


def in_parts(name: str = "takeover") -> pd.DataFrame:
    """Build a `claim` table of four parts: between, undecided, not testable, and one that the study lacks runs for."""
    between = claim(name, BETWEEN, -0.2, 0.9, contrast=part("sgd"))
    undecided = claim(name, UNDECIDED, 0.15, 0.2, needed=12, contrast=part("adamw"))[:1]
    failed = _row(
        part("momentum"),
        np.nan,
        unit="",
        verdict=NOT_TESTABLE,
        reason=REASON,
        sentence=f"Not testable: {REASON}.",
    )
    without = _table(name, [failed, _lacking(part("toy"))])
    return pd.concat([between[:1], undecided, without, between[1:]], ignore_index=True).astype(
        {"claim": "category", "verdict": "category"}
    )


def two_claims() -> list[pd.DataFrame]:
    """Build two `claim` tables: one supported, one contradicted."""
    return [claim("saliency_skew", SUPPORTED, 0.25, 0.00002), claim("topk_damage", CONTRADICTED, -0.75, 0.004)]


def all_verdicts() -> pd.DataFrame:
    """Build the `verdicts` table of these two claims; every other claim has no data."""
    return verdicts.merge(two_claims())


def by_contrast(findings: list[Finding]) -> dict[str, Finding]:
    """Return findings by the names of their contrasts."""
    return {finding.contrast: finding for finding in findings}


def _row(contrast: str, estimate: float, **columns: Any) -> dict[str, Any]:
    """Return a row of a `claim` table whose other columns are empty."""
    missing = ("supported_beyond", "contradicted_beyond", "p_supported", "p_contradicted", "p_value")
    return {
        "contrast": contrast,
        "unit": "L-skewness",
        "estimate": estimate,
        "low": estimate - 0.1,
        "high": estimate + 0.1,
        **dict.fromkeys(missing, np.nan),
        "replicas": 0,
        "replicas_needed": 0,
        "values": [],
        "verdict": "",
        "reason": "",
        "is_lacking": False,
        **columns,
    }


def _lacking(contrast: str) -> dict[str, Any]:
    """Return the row of a primary contrast for which the study lacks a condition."""
    return _row(
        contrast,
        np.nan,
        unit="",
        verdict=NOT_TESTABLE,
        reason="this study has no condition mine",
        is_lacking=True,
        sentence="A condition is missing.",
    )


def _table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a `claim` table, with its columns in their order."""
    frame = pd.DataFrame(rows).assign(claim=name)[CLAIM.schema.names]
    return frame.astype({"claim": "category", "verdict": "category"})
