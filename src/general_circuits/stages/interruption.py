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

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Errors of a file or folder that may not be read or written."""


def end_when_asked() -> None:
    """Let SIGTERM end this process without a traceback, but not before it has removed the file that it is writing."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class Stop:
    """Flag that SIGTERM and Ctrl-C set, instead of ending the process, as soon as it exists."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            # The workflow's jobs ignore Ctrl-C, since Snakemake asks them to stop.
            if signal.getsignal(number) is not signal.SIG_IGN:
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
    """End the process with a plain message if the disk is full, or a file of the `with` block may not be used.

    Args:
        work: name of the work, at the start of the message.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL + FORBIDDEN:
            raise
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        raise SystemExit(_message(work, error.errno in FULL, reason)) from None
    except SafetensorError as error:
        # safetensors has no error number: it writes the system's error as "(os error 28)" into its message.
        numbers = [number for number in FULL + FORBIDDEN if f"os error {number})" in str(error)]
        if not numbers:
            raise
        raise SystemExit(_message(work, numbers[0] in FULL, str(error))) from None


def _message(work: str, is_full: bool, reason: str) -> str:
    if is_full:
        wrong, right = "nothing more can be written", "make room"
    else:
        wrong, right = "a file may not be read or written", "give access to it"
    return f"{work}: {wrong} ({reason}). Earlier files are complete: {right}, and run this again"
