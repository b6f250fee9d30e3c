"""Every claim's findings → one row per claim, as a table and as a page for the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from general_circuits import tables
from general_circuits.claims import verdicts
from general_circuits.claims.registry import CLAIMS
from general_circuits.schemas.claim import TABLE as CLAIM
from general_circuits.schemas.verdicts import TABLE as VERDICTS
from general_circuits.stages.command import run

PAGE = """<!doctype html>
<meta charset="utf-8"><title>A verdict per claim</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 1em }} table {{ border-collapse: collapse }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.4em 0.6em; text-align: left; vertical-align: top }}
</style>
{table}
"""


def main(results: Path, claims: str, output: Path, page: Path) -> None:
    """Merge the findings of CLAIMS (comma-separated) under RESULTS, as a table and as a PAGE to read."""
    found = [tables.read(results / CLAIM.path.format(claim=claim), CLAIM) for claim in claims.split(",")]
    merged = verdicts.merge(found)
    tables.write(output, VERDICTS, merged)
    shown = pd.DataFrame(
        {
            "claim": merged["claim"],
            "statement": [CLAIMS[claim].statement for claim in merged["claim"]],
            "verdict": merged["verdict"],
            "confirmed": merged["confirmed"].map({True: "yes", False: ""}),
            "Holm p": merged["p_adjusted"],
            "found": merged["sentence"],
        }
    )
    with tables.replacing(page) as temporary:
        table = shown.to_html(index=False, border=0, na_rep="", float_format="{:.3g}".format)
        temporary.write_text(PAGE.format(table=table), encoding="utf-8")


if __name__ == "__main__":
    run(main)
