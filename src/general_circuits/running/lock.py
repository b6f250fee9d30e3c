"""One run at a time in a folder: the lock of a launch, Snakemake's own lock, and the process that holds one."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from general_circuits.running.stopping import runs

LAUNCH, SNAKEMAKE = Path(".snakemake/launch.lock"), Path(".snakemake/locks")
"""Places of both locks in a folder: a file that the kernel locks, and a folder of lists that Snakemake writes."""


class LaunchError(RuntimeError):
    """Refusal to start a study now, or the early end of a run. The message says why.

    Attributes:
        status: exit status of the command that launched.
    """

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


@contextlib.contextmanager
def only_launch(study: str, root: Path) -> Iterator[int]:
    """Hold the lock that allows one launch per folder, and yield its file descriptor.

    The kernel releases the lock when the last process that holds the descriptor ends: this one, or its Snakemake.

    Raises:
        LaunchError: another launch holds it.
    """
    path = root / LAUNCH
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            elsewhere = "a study is running in this folder, on another machine or for another user; wait for it"
            raise LaunchError(holder(root) or elsewhere) from None
        file.truncate(0)
        json.dump({"study": study, "process": os.getpid()}, file)
        file.flush()
        yield file.fileno()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the lock of launches, so that no run can begin.

    Raises:
        LaunchError: a run goes on in this folder, or was killed here and has to be finished first.
    """
    with only_launch("prune", root):
        if running := holder(root):
            raise LaunchError(running)
        if any((root / SNAKEMAKE).glob("*")):
            raise LaunchError("a run was killed in this folder, or goes on elsewhere; run its study again first")
        yield


def clear(root: Path) -> None:
    """Remove the locks that a killed Snakemake left.

    Raises:
        LaunchError: a Snakemake that may own them still runs here.
    """
    if any((root / SNAKEMAKE).glob("*")):
        if running := holder(root):
            raise LaunchError(running)
        shutil.rmtree(root / SNAKEMAKE)


def holder(root: Path) -> str | None:
    """Tell which other process runs a study in this folder and how to stop it; `None` if there is none to be seen."""
    if launcher := _launcher_in(root):
        study, process = launcher
        return f"the study {study} is already running in this folder, {_told(process)}"
    if running := _snakemake_in(root):
        options = shlex.join(running.cmdline()).partition("snakemake")[2]
        return f"Snakemake is already running in this folder, {_told(running)}. Its options are:{options[:200]}"
    return None


def _snakemake_in(root: Path) -> psutil.Process | None:
    """Return another process of Snakemake that runs in this folder; `None` if there is none."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # the process has ended, or belongs to another user
            if process.pid != os.getpid() and is_run(process.cmdline()) and Path(process.cwd()) == root:
                return process
    return None


def is_run(words: list[str]) -> bool:
    """Tell whether a command is a run of Snakemake, however Python was told to start it."""
    is_module = any(pair == ("-m", "snakemake") for pair in itertools.pairwise(words))
    is_script = any(Path(word).name == "snakemake" for word in words[:3])
    # With --target-jobs, a cluster started it for one job. It belongs to another Snakemake, which may be gone.
    return (is_module or is_script) and "--target-jobs" not in words


def _launcher_in(root: Path) -> tuple[str, psutil.Process] | None:
    """Return the study and the process of the launch that holds the lock of this folder; `None` if there is none."""
    try:
        with (root / LAUNCH).open(encoding="utf-8") as file:
            record = json.load(file)
            process = psutil.Process(record["process"])
            written = os.fstat(file.fileno()).st_mtime
            # A process that began after the record was written has got the number of one that has ended.
            is_it = (
                process.pid not in (os.getpid(), os.getppid())
                and runs(process)
                and process.create_time() <= written + 1
            )
            return (record["study"], process) if is_it else None
    except (OSError, ValueError, psutil.Error):
        return None


def _told(process: psutil.Process) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(process.create_time()))
    return f"as process {process.pid} since {since}; wait for it, or stop it with `kill {process.pid}`"
