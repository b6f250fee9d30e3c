"""Files of one table in a study → list of these files, with their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.schemas import registry


def main(table: str, results: Path, axes: Path, output: Path) -> None:
    """List the files of TABLE in RESULTS along AXES (a JSON file), in the format of `sha256sum --check`."""
    along = json.loads(axes.read_text(encoding="utf-8"))[table]
    with tables.replacing(output) as temporary, temporary.open("w", encoding="utf-8") as lines:
        for file in tables.files(registry.table(table), along):
            path = results / file
            with path.open("rb") as content:
                lines.write(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {path}\n")


if __name__ == "__main__":
    run(main)
