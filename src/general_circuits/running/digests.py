"""Digests of files, kept between runs, so that a file is read again only if it may have changed."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from general_circuits.storage.files import digest_of, replacing

SETTLED = 2.0
"""Seconds after which a change of a file certainly has another time of change. Clocks of file systems are coarse."""


class Digests:
    """SHA-256 digests of files.

    The kernel sets a file's time of change (ctime) at every write, rename or new date, and no program can choose it.
    So a file with the same number, size and times as before has the same content, and is not read again.

    Args:
        store: JSON file where digests are kept between runs. It may be missing or unreadable: it only saves time.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self._known = _read(store)
        self._is_new = False

    def of(self, path: str) -> str:
        """Return the digest of a file, as hexadecimal digits.

        Raises:
            OSError: the file cannot be read.
        """
        seen = _state(path)
        known = self._known.get(path)
        if isinstance(known, list) and known[:-1] == seen:
            return str(known[-1])
        digest = digest_of(path)
        # A later change within the same tick of the clock would not show, so a file that has just changed is not kept.
        if _state(path) == seen and time.time() - os.stat(path).st_ctime > SETTLED:
            self._known[path] = [*seen, digest]
            self._is_new = True
        return digest

    def save(self) -> None:
        """Keep the digests for the next run, without files that are gone. If that fails, the next run reads more."""
        if self._is_new:
            kept = {path: known for path, known in self._known.items() if os.path.exists(path)}
            with contextlib.suppress(OSError), replacing(self.store) as temporary:
                temporary.write_text(json.dumps(kept), encoding="utf-8")


def _state(path: str) -> list[int]:
    """Return what the kernel knows of a file: its number, its size, and the times of its last changes."""
    status = os.stat(path)
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(store: Path) -> dict[str, list[int | str]]:
    """Return the digests that a run has kept; none if there is no whole file of them."""
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
