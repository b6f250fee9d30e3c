"""Verdicts and key pictures of a study → body of the report's front page."""

from __future__ import annotations

from pathlib import Path

from general_circuits.report import pages
from general_circuits.stages.command import run
from general_circuits.storage import tables
from general_circuits.storage.files import COMMENT, check_end, end_with_seal, read_text, replacing
from general_circuits.storage.schemas.verdicts import TABLE as VERDICTS


def main(verdicts: Path, titles: str, pictures: str, page: Path) -> None:
    """Write PAGE from VERDICTS and PICTURES.

    PICTURES are PNG files, separated by commas, with descriptions in text files beside them. TITLES are separated by |.
    """
    shown = []
    for title, path in zip(titles.split("|"), map(Path, pictures.split(",")), strict=True):
        check_end(path)
        shown.append(pages.Picture(title, read_text(path.with_suffix(".txt")), path.read_bytes()))
    body = pages.front(tables.read(verdicts, VERDICTS), shown)
    with replacing(page) as temporary:
        temporary.write_text(body + "\n", encoding="utf-8")
        end_with_seal(temporary, page, *COMMENT)


if __name__ == "__main__":
    run(main)
