"""Stopping: a signal ends the launcher, Snakemake and every job, and leaves whole files and no lock.

The launcher takes the signal and asks Snakemake to stop (`Stopper`). Snakemake asks its jobs (`end_jobs_on_signals`).
Who does not stop when asked is killed in time: a job after `PATIENCE` seconds, Snakemake after twice as many.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that ask for a stop: of `kill`, of Ctrl-C, of a closed terminal, and of Ctrl-\\."""

PATIENCE = 11
"""Seconds that a job has for keeping its state. Training looks after every step whether it should stop."""

UNFINISHED = r"\..+\.[0-9a-f]{32}|\.tmp[0-9A-Za-z]{6}"
"""Names of files that are being written. `storage.files.replacing` gives the first kind, and safetensors the second."""

CONTINUES = "finished jobs and training states are kept, and the same command goes on from there"


class Stopper:
    """Runs one process after another, and stops the one that runs when a signal asks for it.

    A signal that was ignored from the start stays ignored: `nohup` and shell scripts ask for this.

    Attributes:
        signal: number of the first signal that came; 0 before.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._process: subprocess.Popen[bytes] | None = None
        handle(self._ask)

    def run(self, command: Sequence[str], folder: Path, pass_fds: Sequence[int] = ()) -> int | None:
        """Run a command in a folder and return its exit status; `None` if a signal asked for a stop.

        The process ignores all signals that a terminal sends to everything in it. It stops when this one asks it.
        """
        if not self.signal:
            self._process = subprocess.Popen(command, cwd=folder, pass_fds=pass_fds, preexec_fn=_ignore_the_terminal)
            if self.signal:  # it came while the process started
                self._end(self._process)
            status = self._process.wait()
            self._process = None
        return None if self.signal else status

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.signal:
            self.signal = number
            if self._process:
                self._end(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Ask a process to stop, and kill it with all that it started if it does not."""
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a process that was suspended takes its signals only now
        timer = threading.Timer(2 * PATIENCE, _kill_tree, [process.pid])
        timer.daemon = True
        timer.start()


def handle(ask: Callable[[int, FrameType | None], None]) -> None:
    """Call `ask` whenever one of `SIGNALS` comes that is not ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ask)


def leave(number: int, frame: FrameType | None) -> None:
    """End this process without a traceback."""
    raise SystemExit(128 + number)


def end_jobs_on_signals(scheduler: Any, log: logging.Logger, cancel: Callable[[], object]) -> None:
    """Let a signal end this Snakemake and its jobs. By itself it would wait until its jobs have finished.

    Args:
        scheduler: Snakemake's scheduler, about to start.
        log: Snakemake's log.
        cancel: function that cancels jobs which run elsewhere.
    """

    def stop() -> None:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # otherwise a launcher runs this, and says so itself
            log.error(f"Stopping: {CONTINUES}")
        scheduler._user_kill = "stop"  # no further job starts, and Snakemake ends when no job runs
        log.setLevel(logging.CRITICAL)  # jobs that end now have not failed
        cancel()
        asked: set[psutil.Process] = set()
        deadline = time.monotonic() + PATIENCE
        while True:  # until Snakemake has ended, since it may just be starting one more job
            with contextlib.suppress(psutil.Error):
                _stop(psutil.Process().children(), asked, time.monotonic() > deadline)
            scheduler._open_jobs.release()  # lets the scheduler look again
            time.sleep(0.1)

    def ask(number: int, frame: FrameType | None) -> None:
        # The main thread may hold a lock that stopping needs. So another thread does it.
        if scheduler._user_kill is None:
            threading.Thread(target=stop, daemon=True).start()

    handle(ask)


def end_orphans(results: Path) -> None:
    """End jobs whose Snakemake was killed. They would write the same files as the jobs of this one.

    Args:
        results: the study's folder. A job has its log below it.
    """
    logs = os.path.realpath(results / "logs") + os.sep
    orphans = [process for process in _stages() if any(file.startswith(logs) for file in _open_files(process))]
    asked: set[psutil.Process] = set()
    deadline = time.monotonic() + PATIENCE
    while running := [process for process in orphans if runs(process)]:
        _stop(running, asked, time.monotonic() > deadline)
        time.sleep(0.1)


def remove_unfinished(results: Path) -> None:
    """Remove the files that killed jobs were writing. No job may run.

    Args:
        results: the study's folder.
    """
    for path in results.rglob(".*"):
        if re.fullmatch(UNFINISHED, path.name) and path.is_file():
            path.unlink()


def _stop(processes: Iterable[psutil.Process], asked: set[psutil.Process], is_late: bool) -> None:
    """Ask each process once to stop; kill it and its children when it is late."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if is_late:
                _kill_tree(process.pid)
            elif process not in asked:
                asked.add(process)
                process.terminate()
                process.resume()


def _kill_tree(pid: int) -> None:
    """Kill a process and all that it started."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                each.kill()


def _ignore_the_terminal() -> None:
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)


def _stages() -> list[psutil.Process]:
    """List the processes of this user that run a stage."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(word.startswith("general_circuits.stages.") for word in process.cmdline()[:4]):
                found.append(process)
    return found


def _open_files(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return [file.path for file in process.open_files()]
    return []


def runs(process: psutil.Process) -> bool:
    """Return whether a process still runs. One that has ended may wait for its parent to notice."""
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
