"""Verdicts as text for a terminal, Markdown, JSON and the report's pages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.claims.findings import NOT_MEASURED, judged_for
from general_circuits.claims.registry import CLAIMS
from general_circuits.formatting import NO_DATA, interval, is_change, markdown_table, of_unit


def shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts that the study has data for as text, one row each.

    Columns: `claim`, `predicted`, `found` (the estimate with its unit), `interval`, `replicas` and `verdict`. An
    undecided verdict says how many replicas would decide it, and a verdict "not testable" says why.
    """
    rows = [
        {
            "claim": named(row.claim, row.contrast),
            "predicted": CLAIMS[row.claim].predicts,
            "found": f"{of_unit(row.estimate, row.unit)} {row.unit}" if np.isfinite(row.estimate) else NO_DATA,
            "interval": interval(row.low, row.high, is_change=is_change(row.unit)),
            "replicas": str(row.replicas),
            "verdict": explained(row),
        }
        for row in judged(verdicts).itertuples()
    ]
    return pd.DataFrame(rows, columns=["claim", "predicted", "found", "interval", "replicas", "verdict"])


def explained(row: Any) -> str:
    """Return a verdict with its explanation in parentheses; `row` is one of the table `verdicts`."""
    if row.reason:
        return f"{row.verdict} ({row.reason})"
    if row.replicas_needed:
        return f"{row.verdict} (about {row.replicas_needed} replicas would decide)"
    return str(row.verdict)


def judged(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts that the study has the conditions and measurements for."""
    return verdicts[(verdicts["verdict"] != NOT_MEASURED) & ~verdicts["is_lacking"].astype(bool)]


def rest(verdicts: pd.DataFrame) -> str:
    """Say how many claims have no verdict with data; empty if none."""
    without = set(verdicts["claim"]) - set(judged(verdicts)["claim"])
    unmeasured = set(verdicts.loc[verdicts["verdict"] == NOT_MEASURED, "claim"])
    counts = {"not measured yet": unmeasured, "not testable with this study's conditions": without - unmeasured}
    words = [f"{len(claims)} {'is' if len(claims) == 1 else 'are'} {what}" for what, claims in counts.items() if claims]
    return f"Of the source's {verdicts['claim'].nunique()} claims, {' and '.join(words)}." if words else ""


def code(claim: str, contrast: str) -> str:
    """Return the name of a verdict in Markdown, with the claim's id as code."""
    return named(f"`{claim}`", contrast)


def named(claim: str, contrast: str) -> str:
    """Return a claim's id; where it has several verdicts, also the thing that this one is about."""
    return f"{claim} ({judged_for(contrast)})" if judged_for(contrast) else claim


def markdown(verdicts: pd.DataFrame) -> str:
    """Return a Markdown table of the verdicts, and a line that counts the claims without one."""
    table = shown(verdicts)
    names = [code(row.claim, row.contrast) for row in judged(verdicts).itertuples()]
    rows = table.assign(claim=names).to_numpy().tolist()
    return f"{markdown_table(list(table), rows)}\n{rest(verdicts)}".rstrip() + "\n"


def as_json(verdicts: pd.DataFrame) -> str:
    """Return all verdicts as a JSON list, with every column and the claim's statement; missing numbers are null."""
    records = json.loads(verdicts.to_json(orient="records"))
    for record in records:
        record["statement"] = CLAIMS[record["claim"]].statement
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"
