"""One command for a whole study: recover from an interrupted run, run Snakemake, make the report."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from general_circuits import machine
from general_circuits.config.errors import ConfigError
from general_circuits.config.load import load
from general_circuits.config.read import read
from general_circuits.pipeline import made_from, report_record
from general_circuits.pipeline.dag import Dag


class LaunchError(RuntimeError):
    """Refusal to start a study now. The message says why."""


def launch(study: str, cores: int, root: Path, profile: str | None = None, replace: bool = False) -> Path:
    """Bring a study up to date and return its report.

    Args:
        study: name of the study. "workstation" stands for config/config.yaml, and any other name for
            config/{name}.yaml.
        cores: largest number of threads that jobs use together on this machine.
        root: the checkout.
        profile: name of a profile under profiles/, which says how jobs run. `None` runs them on this machine.
        replace: whether results that another config made may be replaced.

    Raises:
        LaunchError: there is no such config or profile, another launch runs in this checkout, or a job failed.
    """
    how = ["--cores", str(cores)] if profile is None else ["--workflow-profile", str(_profile(profile, root))]
    with _snakemake(study, root, replace) as (snakemake, results, lock):
        start, report = time.monotonic(), results / "report.html"
        try:
            _run([*snakemake, *how], study, root, lock)
            dag = Dag(load(read(config_file(study, root))))
            if not report_record.is_current(dag, root):
                made = subprocess.run([*snakemake, "--report", str(report.relative_to(root))], cwd=root, check=False)
                if made.returncode:
                    raise LaunchError(f"{study}: everything ran, but the report could not be made")
                report_record.keep(dag, root)
        finally:
            if profile is None:
                _record(results, time.monotonic() - start, cores)
    return report


LAUNCHES = Path("benchmarks/launches.tsv")
"""File below a study's results: seconds of each launch on one machine, with the report, its cores and the machine."""


def _record(results: Path, seconds: float, cores: int) -> None:
    """Add a line to the file `LAUNCHES` of a study."""
    path = results / LAUNCHES
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        if is_new:
            file.write("s\tcores\tmachine\n")
        file.write(f"{seconds:.1f}\t{cores}\t{machine.description()}\n")


def target(study: str, path: str, root: Path) -> Path:
    """Make one file below a study's results and return its place. Other arguments and errors are those of `launch`."""
    with _snakemake(study, root) as (snakemake, results, lock):
        _run([*snakemake, "--cores", "1", str((results / path).relative_to(root))], study, root, lock)
    return results / path


@contextlib.contextmanager
def _snakemake(study: str, root: Path, replace: bool = False) -> Iterator[tuple[list[str], Path, int]]:
    """Take the lock, clear what a killed run left, and yield Snakemake's command, the study's folder and the lock."""
    config = config_file(study, root)
    snakemake = [sys.executable, "-m", "snakemake", "--configfile", str(config.relative_to(root))]
    with _only_launch(root) as lock:
        _recover(snakemake, root)
        results = root / "results" / _name(config)
        if replace:
            (results / made_from.RECORD).unlink(missing_ok=True)
        try:
            made_from.check(results, [config], root)
        except made_from.OtherConfigError as error:
            raise LaunchError(str(error)) from None
        yield snakemake, results, lock


def _run(snakemake: list[str], study: str, root: Path, lock: int) -> None:
    """Run this command of Snakemake, and fail if it fails."""
    progress = ["--logger", "rich"] if sys.stderr.isatty() else []
    # Snakemake inherits the lock. If this process is killed, no second launch can start while Snakemake still runs.
    run = [*snakemake, "--rerun-incomplete", *progress]
    if _wait_for(subprocess.Popen(run, cwd=root, pass_fds=[lock])):
        raise LaunchError(f"{study}: not finished. Finished jobs are kept; run the same command again to continue")


def config_file(study: str, root: Path) -> Path:
    """Return the config file of a study.

    Raises:
        LaunchError: there is none of this name.
    """
    path = root / "config" / ("config.yaml" if study == "workstation" else f"{study}.yaml")
    if not path.is_file():
        known = sorted({"workstation"} | {file.stem for file in path.parent.glob("*.yaml")} - {"config"})
        raise LaunchError(f"study {study!r}: there is no {path.relative_to(root)}; known: {', '.join(known)}")
    return path


def _profile(name: str, root: Path) -> Path:
    """Return the folder of a profile; refuse a name without one."""
    path = root / "profiles" / name
    if not (path / "config.yaml").is_file():
        known = sorted(file.parent.name for file in path.parent.glob("*/config.yaml"))
        raise LaunchError(f"profile {name!r}: there is no {path.relative_to(root)}; known: {', '.join(known)}")
    return path


def _name(config: Path) -> str:
    """Return the study's own name, which is also the name of its results' folder.

    A config without one gets its file's name here. Snakemake then refuses it and says why.
    """
    try:
        return str(read(config)["study"])
    except (ConfigError, KeyError):
        return config.stem


@contextlib.contextmanager
def _only_launch(root: Path) -> Iterator[int]:
    """Hold the lock that allows one launch per checkout, and yield its file descriptor.

    The kernel releases the lock when the last process that holds the descriptor ends: this one, or its Snakemake.
    """
    folder = root / ".snakemake"
    folder.mkdir(exist_ok=True)
    with (folder / "launch.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError("a study is already running in this folder; wait for it, or stop it first") from None
        yield file.fileno()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the lock of launches, so that no run can begin, and refuse if one goes on or has left its own locks.

    Raises:
        LaunchError: a run goes on in this checkout, or was stopped here and has to be finished first.
    """
    with _only_launch(root):
        if running := _snakemake_in(root):
            raise LaunchError(f"Snakemake is running in this folder (process {running}); wait for it, or stop it")
        if any((root / ".snakemake" / "locks").glob("*")):
            raise LaunchError("a run was stopped here, or goes on elsewhere; run its study again first")
        yield


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait until a process ends, and return its exit status.

    Ctrl-C reaches both processes. This one waits on, because Snakemake still has to end its jobs and clear its locks.
    """
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def _recover(snakemake: list[str], root: Path) -> None:
    """Remove the locks that a killed Snakemake left. Refuse if a Snakemake that may own them still runs here."""
    if not any((root / ".snakemake" / "locks").glob("*")):
        return
    if running := _snakemake_in(root):
        raise LaunchError(f"Snakemake is already running in this folder (process {running}); wait for it, or stop it")
    subprocess.run([*snakemake, "--unlock", "--quiet"], cwd=root, check=True)


def _snakemake_in(root: Path) -> int | None:
    """Return the process id of a Snakemake that runs in this folder; `None` if there is none."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            # With --target-jobs, a cluster started it for one job. It belongs to another Snakemake, which may be gone.
            is_launch = any(Path(word).name == "snakemake" for word in words[:3]) and "--target-jobs" not in words
            if is_launch and Path(process.cwd()) == root:
                return int(process.pid)
        except psutil.Error:  # the process has ended, or belongs to another user
            continue
    return None
