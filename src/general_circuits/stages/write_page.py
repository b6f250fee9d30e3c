"""Tables of a finished study → one page of the report."""

from __future__ import annotations

import json
from pathlib import Path

from general_circuits.report import pages
from general_circuits.stages.command import run
from general_circuits.storage.files import COMMENT, end_with_seal, replacing
from general_circuits.storage.schemas import registry


def main(
    page: str, results: Path, reads: str, indexed: str, axes: Path, settings: Path, timed: Path, output: Path
) -> None:
    """Write PAGE from the tables it READS along AXES, and from the study's SETTINGS (both JSON files).

    INDEXED are those of the tables whose files must be the ones that the study's indexes list. TIMED (a JSON file) has
    the rules whose jobs have a benchmark, with the conditions and blocks of these jobs.
    """
    along = json.loads(axes.read_text(encoding="utf-8"))
    names = reads.split(",") if reads else []
    frames = registry.read(results, names, along, indexed.split(","))
    about = pages.About(**json.loads(settings.read_text(encoding="utf-8")), costs=_costs(results, timed))
    with replacing(output) as temporary:
        temporary.write_text(getattr(pages, page)(frames, about) + "\n", encoding="utf-8")
        end_with_seal(temporary, output, *COMMENT)


def _costs(results: Path, timed: Path) -> dict[str, list[Path]]:
    """Return the benchmarks of a study's jobs by rule. A job that ran elsewhere may have left none."""
    folders = {
        rule: [(results / "benchmarks" / rule / condition, blocks) for condition in conditions]
        for rule, (conditions, blocks) in json.loads(timed.read_text(encoding="utf-8")).items()
    }
    files = {
        rule: [folder / f"{block}.tsv" for folder, blocks in places for block in blocks]
        for rule, places in folders.items()
    }
    return {rule: [path for path in paths if path.is_file()] for rule, paths in files.items()}


if __name__ == "__main__":
    run(main)
