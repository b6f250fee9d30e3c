"""A grid of toys → what happens to every circuit of those with one update rule."""

from __future__ import annotations

import json
from pathlib import Path

from general_circuits import compute, tables
from general_circuits.conditions import from_json
from general_circuits.duels import toy
from general_circuits.duels.grid import Grid
from general_circuits.schemas.toy import TABLE as TOY
from general_circuits.stages.command import run


def main(grid: str, optimiser: str, output: Path) -> None:
    """Train the toys of GRID (JSON) with OPTIMISER."""
    compute.device("cpu")
    settings = from_json(Grid, grid)
    rows = toy.train(settings, optimiser)
    tables.write(output, TOY, rows.assign(optimiser=optimiser), {"toy": json.loads(grid)})


if __name__ == "__main__":
    run(main)
