"""Tables measured in every way → estimate of a claim under every choice, for specification curves."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.specification import TABLE as SPECIFICATION


def main(claim: str, results: Path, reads: str, axes: Path, output: Path) -> None:
    """Estimate CLAIM in every way from the tables it READS along AXES (a JSON file); without tables, write no rows."""
    frames_of_claim = []
    if reads:
        along = json.loads(axes.read_text(encoding="utf-8"))
        frames = registry.read(results, reads.split(","), along)
        rows = importlib.import_module(f"general_circuits.claims.{claim}").specify(frames)
        frames_of_claim = [rows.assign(claim=claim)]
    tables.write(output, SPECIFICATION, tables.joined(SPECIFICATION, frames_of_claim))


if __name__ == "__main__":
    run(main)
