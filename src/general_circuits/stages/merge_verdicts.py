"""Findings of every claim → one row per claim."""

from __future__ import annotations

from pathlib import Path

from general_circuits.claims import verdicts
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.claim import TABLE as CLAIM
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS


def main(results: Path, claims: str, output: Path) -> None:
    """Merge the findings of CLAIMS (comma-separated) under RESULTS."""
    findings = [tables.read(results / CLAIM.path.format(claim=claim), CLAIM) for claim in claims.split(",")]
    tables.write(output, VERDICTS, verdicts.merge(findings))


if __name__ == "__main__":
    run(main)
