"""The tables a figure shows → SVG and PNG."""

from __future__ import annotations

import importlib
from pathlib import Path

from general_circuits import tables
from general_circuits.figures import style
from general_circuits.schemas import registry
from general_circuits.stages.command import run


def main(figure: str, results: Path, reads: str, conditions: str, blocks: int, svg: Path, png: Path) -> None:
    """Draw FIGURE from the tables it READS of CONDITIONS (comma-separated), BLOCKS each."""
    frames = {
        name: tables.read_study(results, registry.table(name), conditions.split(","), blocks)
        for name in reads.split(",")
    }
    module = importlib.import_module(f"general_circuits.figures.{figure}")
    with style.theme():
        drawn = module.draw(frames)
        for path, metadata in ((svg, {"Date": None}), (png, {"Software": None})):
            with tables.replacing(path) as temporary:
                drawn.savefig(temporary, format=path.suffix[1:], metadata=metadata)


if __name__ == "__main__":
    run(main)
