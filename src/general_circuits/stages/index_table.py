"""Files of one table in a study → list of these files, with their checksums."""

from __future__ import annotations

import json
from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import index
from general_circuits.storage.schemas import registry


def main(table: str, results: Path, axes: Path, output: Path) -> None:
    """List the files of TABLE in RESULTS along AXES (a JSON file), in the format of `sha256sum --check`."""
    along = json.loads(axes.read_text(encoding="utf-8"))[table]
    index.write(output, results, registry.table(table), along)


if __name__ == "__main__":
    run(main)
