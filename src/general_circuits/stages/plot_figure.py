"""Tables of a figure → SVG and PNG, and a description in words."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

from general_circuits.figures import style
from general_circuits.stages.command import run
from general_circuits.storage.files import COMMENT, end_with_seal, replacing
from general_circuits.storage.schemas import registry


def main(
    figure: str,
    view: str,
    title: str,
    results: Path,
    reads: str,
    indexed: str,
    axes: Path,
    svg: Path,
    png: Path,
    description: Path,
) -> None:
    """Draw FIGURE in a VIEW, with a TITLE and a DESCRIPTION, from the tables it READS along AXES (a JSON file).

    INDEXED are those of the tables whose files must be the ones that the study's indexes list.
    """
    along = json.loads(axes.read_text(encoding="utf-8"))
    frames = registry.read(results, reads.split(","), along, indexed.split(","))
    module = importlib.import_module(f"general_circuits.figures.{figure}")
    words = module.describe(frames, view)
    with style.theme():
        drawn = module.draw(frames, view)
        with replacing(svg) as new_svg, replacing(png) as new_png:
            style.save(drawn, {"svg": new_svg, "png": new_png}, title, words)
            end_with_seal(new_svg, svg, *COMMENT)
            end_with_seal(new_png, png)
    with replacing(description) as temporary:
        temporary.write_text(words + "\n", encoding="utf-8")
        end_with_seal(temporary, description)


if __name__ == "__main__":
    run(main)
