"""How a long job ends before its work does: asked to, or for want of room on the disk."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Iterator
from types import FrameType

from safetensors import SafetensorError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Stop:
    """SIGTERM and Ctrl-C, from now on, set a flag instead of ending the process."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def is_asked(self) -> bool:
        """Whether one came."""
        return self.signal != 0

    @property
    def exit_status(self) -> int:
        """What a shell gives a process that this signal ended."""
        return 128 + self.signal

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.signal = number


@contextlib.contextmanager
def room_for(work: str) -> Iterator[None]:
    """End the process with a plain message if the disk has no room for what this block writes."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        raise SystemExit(_message(work, reason)) from None
    except SafetensorError as error:
        if not any(f"os error {number})" in str(error) for number in FULL):
            raise
        raise SystemExit(_message(work, str(error))) from None


def _message(work: str, reason: str) -> str:
    return (
        f"{work}: nothing more can be written ({reason}). What was kept before is whole: make room, and run this again"
    )
