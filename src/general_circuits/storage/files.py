"""Files between stages: each is written whole or not at all, carries a seal over its bytes, and knows its place.

A job can be killed at any time, and another job may read a file as soon as it exists. So a file is written under
another name and renamed, which is one step for the file system.

A disk can flip a bit, and a person can copy the wrong file. So a file holds the SHA-256 of its own bytes, its seal, and
its place in the study's folder. A reader compares both with what it finds, and refuses a file that differs.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import shlex
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from string import Formatter

MARK = b"general-circuits-sha256:"
BLANK = b"0" * 64
UNSEALED = (MARK + BLANK).decode()
"""Text that a writer puts somewhere into a file, for `seal` to fill in."""
WEIGHTS: Mapping[str, str] = {
    "train_block": "runs/{condition}/{block}",
    "replay_block": "replays/{condition}/{block}/{replay}",
    "replay_moments": "moments/{condition}/{block}",
    "watch_spikes": "spikes/{condition}/{block}",
}
"""Folders of the weights that rules write, in a study's folder."""
STATES = ".state"
"""Folder of the training states, in a study's folder."""
COMMENT = ("<!-- ", " -->")
"""Beginning and end of a comment in SVG and HTML."""
OPTIONS = "GENERAL_CIRCUITS_OPTIONS"
"""Environment variable with Snakemake's options for the study that runs. The workflow sets it for its jobs."""
MADE_FROM = "made_from.txt"
"""Name of the record in a study's folder of what it was made from. It has a line for each config file."""


class UnusableFileError(ValueError):
    """Refusal of a file. The message names the file, its fault, and the command that makes it anew."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(f"{path}: {fault}; make it anew: {_remaking(path)}")


def options_of(configs: Iterable[str], changes: Sequence[str] = ()) -> str:
    """Return Snakemake's options for a study, as a shell reads them.

    Args:
        configs: the study's config files, relative to the checkout.
        changes: texts such as `study=mine`, which replace values in them.
    """
    given = {"--configfile": list(configs), "--config": list(changes)}
    return shlex.join(word for option, values in given.items() if values for word in (option, *values))


def _remaking(path: Path) -> str:
    """Return the command that makes a file anew, for the folder that this process works in."""
    options, root, target = os.environ.get(OPTIONS, ""), Path.cwd(), path
    if not options:  # no job of the workflow reads this file, so the record beside it tells its study
        place = Path(os.path.abspath(path))
        study = next((folder for folder in place.parents if folder.parent.name == "results"), None)
        if study and (study / MADE_FROM).is_file():
            root = study.parents[1]
            configs = (study / MADE_FROM).read_text(encoding="utf-8").splitlines()
            options, target = options_of(configs), place.relative_to(root)
    there = "" if root == Path.cwd() else f"cd {shlex.quote(str(root))} && "
    return there + " ".join(filter(None, ["snakemake --cores 1", options, "--force", shlex.quote(str(target))]))


def digest_of(path: Path | str) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace `path` in one step: give a temporary name to write under, renamed to `path` when the block ends well.

    A reader sees the old file or the new one, and nothing in between. If the block fails, the old file stays as it was
    and the new one is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within a file system. The random part keeps two writers apart.
    # The leading dot hides the file from patterns such as *.parquet.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def seal(path: Path) -> None:
    """Fill in the seal of a finished file: the SHA-256 of its bytes, with 64 zeros where the seal is."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        start = content.find(MARK) + len(MARK)
        content[start : start + len(BLANK)] = hashlib.sha256(content).hexdigest().encode()


def end_with_seal(path: Path, place: Path, before: str = "", after: str = "") -> None:
    """Add a last line with the file's place and its seal. The file's format must ignore what stands there.

    Args:
        path: the file.
        place: path that the file will have.
        before, after: what makes the line a comment.
    """
    with path.open("ab") as file:
        file.write(f"{before}{UNSEALED} {_end(place)}{after}\n".encode())
    seal(path)


def check_end(path: Path) -> None:
    """Check a file that `end_with_seal` has sealed.

    Raises:
        UnusableFileError: the file is damaged, or belongs to another place.
    """
    check_seal(path)
    last_line = path.read_bytes().rpartition(MARK)[2].decode()
    if _end(path) not in last_line.split():
        raise UnusableFileError(path, f"was written as {last_line.split()[1]} and copied here")


def read_text(path: Path) -> str:
    """Check a text that ends with a seal, and return it without the seal."""
    check_end(path)
    return path.read_text(encoding="utf-8").rpartition(MARK.decode())[0].strip()


def _end(path: Path) -> str:
    """Return the folder and the name of a file, by which it is known."""
    return "/".join(path.parts[-2:])


def check_seal(path: Path) -> None:
    """Check that a file has the bytes that were written.

    Raises:
        UnusableFileError: the file is missing, empty, damaged, or not of this package.
    """
    try:
        about = path.stat()
        # Stages read several parts of a file one by one. Its bytes are read for this check once.
        fault = (
            _fault(path, about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns)
            if stat.S_ISREG(about.st_mode)
            else "is no regular file"
        )
    except OSError as error:
        fault = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    if fault:
        raise UnusableFileError(path, fault)


@lru_cache(maxsize=4096)
def _fault(path: Path, size: int, *_: int) -> str:
    """Return in words what is wrong with a file's bytes; empty text if nothing is."""
    if not size:
        return "is empty"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(MARK) + len(MARK)
        if start < len(MARK):
            return "has no seal, so it is damaged or was not written by this version of general-circuits"
        end = start + len(BLANK)
        with memoryview(content) as view:
            digest = hashlib.sha256(view[:start])
            digest.update(BLANK)
            digest.update(view[end:])
            is_whole = view[start:end] == digest.hexdigest().encode()
    return "" if is_whole else "is damaged: its bytes are not those that were written"


def place_of(path: Path, templates: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return a file's place in its study's folder, and the names in it.

    Args:
        path: the file.
        templates: places that this kind of file can have, such as `runs/{condition}/{block}/metrics.parquet`.

    Returns:
        The place and, for example, the condition and the block; empty if the path ends like none of the templates.
    """
    for template in sorted(templates, key=len, reverse=True):
        if found := place_pattern(template).search(path.as_posix()):
            return found["place"], {name: text for name, text in found.groupdict().items() if name != "place"}
    return "", {}


def check_place(path: Path, templates: Iterable[str], written: Mapping[str, object]) -> None:
    """Check that a file lies where it was written, as far as its path tells.

    Raises:
        UnusableFileError: the file belongs to another place.
    """
    place, _ = place_of(path, templates)
    if place and written.get("place") != place:
        raise UnusableFileError(
            path, f"was written as {written.get('place') or 'another kind of file'} and copied here"
        )


@lru_cache
def place_pattern(template: str) -> re.Pattern[str]:
    """Return the pattern of paths that end as a template does."""
    parts = [
        re.escape(text) + (f"(?P<{name}>[^/]+)" if name else "") for text, name, _, _ in Formatter().parse(template)
    ]
    return re.compile(f"(?:^|/)(?P<place>{''.join(parts)})$")
