"""Verdicts as text for a terminal, Markdown, JSON and the report's pages."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from general_circuits.claims.findings import NOT_TESTABLE, UNDECIDED, judged_for
from general_circuits.claims.registry import CLAIMS
from general_circuits.formatting import NO_DATA, interval, is_change, markdown_table, of_unit, p_value

SURVIVES = {True: "confirmed", False: "not confirmed"}


def shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts of the claims that the study could test as text, one row each.

    Columns: `claim`, `predicted`, `found` (the estimate with its unit), `interval` (95 %), `replicas`, `Holm p` and
    `verdict`. A verdict for or against also says whether it survives Holm's adjustment: "confirmed" or "not
    confirmed".
    """
    rows = [
        {
            "claim": named(row.claim, row.contrast),
            "predicted": CLAIMS[row.claim].predicts,
            "found": f"{of_unit(row.estimate, row.unit)} {row.unit}" if np.isfinite(row.estimate) else NO_DATA,
            "interval": interval(row.low, row.high, is_change=is_change(row.unit)),
            "replicas": str(row.replicas),
            "Holm p": p_value(row.p_adjusted),
            "verdict": row.verdict if row.verdict == UNDECIDED else f"{row.verdict}, {SURVIVES[row.confirmed]}",
        }
        for row in judged(verdicts).itertuples()
    ]
    return pd.DataFrame(rows, columns=["claim", "predicted", "found", "interval", "replicas", "Holm p", "verdict"])


def judged(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the claims that the study could test, whatever their verdict."""
    return verdicts[verdicts["verdict"] != NOT_TESTABLE]


def rest(verdicts: pd.DataFrame) -> str:
    """Say how many claims are not testable in the study; empty if none."""
    total = verdicts["claim"].nunique()
    missing = total - judged(verdicts)["claim"].nunique()
    return f"{missing} of the source's {total} claims are not testable in this study." if missing else ""


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
