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


def read(index: Path) -> dict[str, str]:
    """Check an index, and return the digest of each file that it lists, by the file's path in the study's folder.

    Raises:
        UnusableFileError: the index is damaged, or of another table than its name tells.
    """
    check_seal(index)
    heading, *lines = index.read_text(encoding="utf-8").splitlines()
    written_as = heading.split(" ", 2)[2]
    folder, _, name = written_as.rpartition("/index/")
    if name != index.name:
        raise UnusableFileError(index, f"was written as {written_as} and copied here")
    return {path.removeprefix(f"{folder}/"): digest for digest, path in (line.split("  ", 1) for line in lines)}


def verify(results: Path, table: Table, axes: Axes) -> None:
    """Check a table's files along `axes` against its index.

    Raises:
        UnusableFileError: the index is damaged, or a file is not the one that was indexed.
    """
    index = path_of(results, table.name)
    digests = read(index)
    for file, _ in files_and_seeds(table, axes):
        path = results / file
        if file not in digests:
            raise UnusableFileError(index, f"lacks {path}")
        if not path.is_file() or digests[file] != digest_of(path):
            raise UnusableFileError(path, f"is not the file that {index} lists, so it changed since")
