"""Index of a table: the digest of every file that a study has of it, in the format of `sha256sum --check`.

Figures and pages depend on an index in place of all files. So they check it: a file that was replaced after the index
was made is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from general_circuits.storage.files import UNSEALED, UnusableFileError, check_seal, digest_of, replacing, seal
from general_circuits.storage.tables import Table, check, files_and_seeds

Axes = Mapping[str, Sequence[Any]]


def path_of(results: Path, table: str) -> Path:
    """Return the place of a table's index in a study's folder."""
    return results / "index" / f"{table}.sha256"


def write(output: Path, results: Path, table: Table, axes: Axes) -> None:
    """List a table's files along `axes`. A damaged or foreign file gets no line: it is refused."""
    lines = [f"# {UNSEALED} {path_of(results, table.name)}"]
    for file, seeds in files_and_seeds(table, axes):
        check(results / file, table, seeds)
        lines.append(f"{digest_of(results / file)}  {results / file}")
    with replacing(output) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        seal(temporary)


def check_own(index: Path) -> None:
    """Check the bytes of an index, and that it is the index of the table that its name tells.

    Raises:
        UnusableFileError: the index is damaged, or another table's.
    """
    check_seal(index)
    written_as = index.read_text(encoding="utf-8").split("\n", 1)[0].split(" ", 2)[2]
    if Path(written_as).name != index.name:
        raise UnusableFileError(index, f"was written as {written_as} and copied here")


def verify(results: Path, table: Table, axes: Axes) -> None:
    """Check a table's files along `axes` against its index.

    Raises:
        UnusableFileError: the index is damaged, or a file is not the one that was indexed.
    """
    index = path_of(results, table.name)
    check_own(index)
    heading, *lines = index.read_text(encoding="utf-8").splitlines()
    written_in = heading.split(" ", 2)[2].rpartition("/index/")[0]
    digests = {path.removeprefix(f"{written_in}/"): digest for digest, path in (line.split("  ", 1) for line in lines)}
    for file, _ in files_and_seeds(table, axes):
        path = results / file
        if file not in digests:
            raise UnusableFileError(index, f"lacks {path}")
        if not path.is_file() or digests[file] != digest_of(path):
            raise UnusableFileError(path, f"is not the file that {index} lists, so it changed since")
