"""Verdicts as a reader wants them: in a terminal, in Markdown, in JSON, on the report's pages."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from general_circuits.claims.findings import NOT_TESTABLE
from general_circuits.claims.registry import CLAIMS

MINUS, UNKNOWN = "−", "–"


def shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The claims that the study could test, one row each, as text.

    Columns: `claim`, `predicted`, `found` (estimate with its unit), `interval` (95 %), `replicas`, `Holm p`, `verdict`,
    in which "confirmed" says that it also survives Holm's adjustment.
    """
    rows = [
        {
            "claim": row.claim,
            "predicted": CLAIMS[row.claim].predicts,
            "found": f"{number(row.estimate)} {row.unit}" if np.isfinite(row.estimate) else UNKNOWN,
            "interval": f"{number(row.low)} to {number(row.high)}" if np.isfinite(row.low) else UNKNOWN,
            "replicas": str(row.replicas),
            "Holm p": p_value(row.p_adjusted),
            "verdict": f"{row.verdict}, confirmed" if row.confirmed else row.verdict,
        }
        for row in judged(verdicts).itertuples()
    ]
    return pd.DataFrame(rows, columns=["claim", "predicted", "found", "interval", "replicas", "Holm p", "verdict"])


def judged(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The claims that the study could test, whatever came out."""
    return verdicts[verdicts["verdict"] != NOT_TESTABLE]


def rest(verdicts: pd.DataFrame) -> str:
    """How many claims have no verdict."""
    missing = len(verdicts) - len(judged(verdicts))
    return f"{missing} of the source's {len(verdicts)} claims are not testable in this study." if missing else ""


def number(value: float) -> str:
    """Signed, to two decimals."""
    # Adding 0 makes what rounds to −0 a plain 0.
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", MINUS) if np.isfinite(value) else UNKNOWN


def p_value(value: float) -> str:
    """To two significant digits."""
    if not np.isfinite(value):
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def markdown(verdicts: pd.DataFrame) -> str:
    """A Markdown table, and a line on the claims that are not in it."""
    table = shown(verdicts)
    lines = [
        f"| {' | '.join(table.columns)} |",
        f"|{'---|' * len(table.columns)}",
        *(f"| {' | '.join(row)} |" for row in table.assign(claim="`" + table["claim"] + "`").to_numpy()),
    ]
    return "\n".join([*lines, "", rest(verdicts)]).rstrip() + "\n"


def as_json(verdicts: pd.DataFrame) -> str:
    """Every claim with everything known of it; what is not known is null."""
    records = json.loads(verdicts.to_json(orient="records"))
    for record in records:
        record["statement"] = CLAIMS[record["claim"]].statement
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"
