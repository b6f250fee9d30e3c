"""Grid of toys → history of every circuit in the toys of one update rule."""

from __future__ import annotations

import json
from pathlib import Path

from general_circuits import devices
from general_circuits.duels import toy_training
from general_circuits.duels.toy_grid import Grid
from general_circuits.records import from_json
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas.toy import TABLE as TOY


def main(grid: str, optimiser: str, output: Path) -> None:
    """Train the toys of GRID (JSON) that use OPTIMISER."""
    devices.set_up("cpu")
    settings = from_json(Grid, grid)
    rows = toy_training.train(settings, optimiser)
    tables.write(output, TOY, rows.assign(optimiser=optimiser), {"toy": json.loads(grid)})


if __name__ == "__main__":
    run(main)
