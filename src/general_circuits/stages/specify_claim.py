"""The tables of what specification curves ask → a claim's estimate under every choice."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.specification import TABLE as SPECIFICATION


def main(claim: str, results: Path, reads: str, axes: Path, output: Path) -> None:
    """Specify CLAIM from the tables it READS along AXES (a JSON file); where it can read none, it has no rows."""
    found = []
    if reads:
        along = json.loads(axes.read_text(encoding="utf-8"))
        frames = registry.read(results, reads.split(","), along)
        rows = importlib.import_module(f"general_circuits.claims.{claim}").specify(frames)
        found = [rows.assign(claim=claim)]
    tables.write(output, SPECIFICATION, tables.joined(SPECIFICATION, found))


if __name__ == "__main__":
    run(main)
