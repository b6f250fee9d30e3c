"""Early ends of a long job: a signal asks it to stop, or the disk is full."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Iterator
from types import FrameType

from safetensors import SafetensorError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a full disk, a used-up quota and a file larger than allowed."""


class Stop:
    """Flag that SIGTERM and Ctrl-C set, instead of ending the process, as soon as it exists."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def is_asked(self) -> bool:
        """Return whether one of these signals came."""
        return self.signal != 0

    @property
    def exit_status(self) -> int:
        """Exit status that a shell reports for a process that this signal ended."""
        return 128 + self.signal

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number


@contextlib.contextmanager
def room_for(work: str) -> Iterator[None]:
    """End the process with a plain message if the disk has no room for the files of the `with` block.

    Args:
        work: name of the work, at the start of the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        raise SystemExit(_message(work, reason)) from None
    except SafetensorError as error:
        # safetensors has no error number: it writes the system's error as "(os error 28)" into its message.
        if not any(f"os error {number})" in str(error) for number in FULL):
            raise
        raise SystemExit(_message(work, str(error))) from None


def _message(work: str, reason: str) -> str:
    return f"{work}: nothing more can be written ({reason}). Earlier files are complete: make room, and run this again"
