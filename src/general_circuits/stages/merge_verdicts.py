"""Every claim's findings → one row per claim, as a table and as a page for the report."""

from __future__ import annotations

from pathlib import Path

from general_circuits import tables
from general_circuits.claims import verdicts
from general_circuits.claims.registry import CLAIMS
from general_circuits.schemas.claim import TABLE as CLAIM
from general_circuits.schemas.verdicts import TABLE as VERDICTS
from general_circuits.stages.command import run


def main(results: Path, claims: str, output: Path, csv: Path) -> None:
    """Merge the findings of CLAIMS (comma-separated) under RESULTS."""
    found = [tables.read(results / CLAIM.path.format(claim=claim), CLAIM) for claim in claims.split(",")]
    merged = verdicts.merge(found)
    tables.write(output, VERDICTS, merged)
    readable = merged.assign(statement=[CLAIMS[claim].statement for claim in merged["claim"]])
    with tables.replacing(csv) as temporary:
        readable.round(4).to_csv(temporary, index=False)


if __name__ == "__main__":
    run(main)
