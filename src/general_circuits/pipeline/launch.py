"""One command for a whole study: recover from whatever was interrupted, run Snakemake, make the report."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml


class LaunchError(RuntimeError):
    """A study that cannot be started now; the message says why."""


def launch(study: str, cores: int, root: Path, profile: str | None = None) -> Path:
    """Bring a study up to date and return its report.

    Args:
        study: "workstation" is config/config.yaml, any other name config/{name}.yaml.
        cores: how many jobs' threads run at once here.
        root: the checkout.
        profile: how jobs run, by its name under profiles/; on this machine if there is none.

    Raises:
        LaunchError: no such config or profile, another launch in this checkout, or a job that failed.
    """
    how = ["--cores", str(cores)] if profile is None else ["--workflow-profile", str(_profile(profile, root))]
    with _snakemake(study, root) as (snakemake, results, lock):
        start, report = time.monotonic(), results / "report.html"
        try:
            _run([*snakemake, *how], study, root, lock)
            if _is_stale(report, results):
                made = subprocess.run([*snakemake, "--report", str(report.relative_to(root))], cwd=root, check=False)
                if made.returncode:
                    raise LaunchError(f"{study}: everything ran, but the report could not be made")
        finally:
            if profile is None:
                _record(results, time.monotonic() - start, cores)
    return report


LAUNCHES = Path("benchmarks/launches.tsv")
"""Below a study's results: what each launch on one machine took, the report included."""


def _record(results: Path, seconds: float, cores: int) -> None:
    """Add a line to `LAUNCHES`."""
    path = results / LAUNCHES
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        if is_new:
            file.write("s\tcores\tmachine\n")
        file.write(f"{seconds:.1f}\t{cores}\t{machine()}\n")


def machine() -> str:
    """This machine in words: processor, cores, memory."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB"


def target(study: str, path: str, root: Path) -> Path:
    """Make one file below a study's results, and return where it is; arguments and errors as of `launch`."""
    with _snakemake(study, root) as (snakemake, results, lock):
        _run([*snakemake, "--cores", "1", str((results / path).relative_to(root))], study, root, lock)
    return results / path


@contextlib.contextmanager
def _snakemake(study: str, root: Path) -> Iterator[tuple[list[str], Path, int]]:
    """Snakemake's command for a study, ready to run, with the study's folder and the lock to hand on."""
    config = config_file(study, root)
    snakemake = [sys.executable, "-m", "snakemake", "--configfile", str(config.relative_to(root))]
    with _only_launch(root) as lock:
        _recover(snakemake, root)
        yield snakemake, root / "results" / _name(config), lock


def _run(snakemake: list[str], study: str, root: Path, lock: int) -> None:
    progress = ["--logger", "rich"] if sys.stderr.isatty() else []
    # Snakemake holds the lock too: should this process be killed, no second launch can start beside it.
    run = [*snakemake, "--rerun-incomplete", *progress]
    if _wait_for(subprocess.Popen(run, cwd=root, pass_fds=[lock])):
        raise LaunchError(f"{study}: not finished; what is done is kept, and running this again goes on from there")


def config_file(study: str, root: Path) -> Path:
    """The config of a study by name."""
    path = root / "config" / ("config.yaml" if study == "workstation" else f"{study}.yaml")
    if not path.is_file():
        known = sorted({"workstation"} | {file.stem for file in path.parent.glob("*.yaml")} - {"config"})
        raise LaunchError(f"study {study!r}: there is no {path.relative_to(root)}; known: {', '.join(known)}")
    return path


def _profile(name: str, root: Path) -> Path:
    """The folder of a profile by name."""
    path = root / "profiles" / name
    if not (path / "config.yaml").is_file():
        known = sorted(file.parent.name for file in path.parent.glob("*/config.yaml"))
        raise LaunchError(f"profile {name!r}: there is no {path.relative_to(root)}; known: {', '.join(known)}")
    return path


def _name(config: Path) -> str:
    """What the study calls itself, which its results' folder is called; any fault is Snakemake's to explain."""
    try:
        return str(yaml.safe_load(config.read_text(encoding="utf-8"))["study"])
    except (yaml.YAMLError, KeyError, TypeError):
        return config.stem


@contextlib.contextmanager
def _only_launch(root: Path) -> Iterator[int]:
    """A lock for one launch per checkout, held as long as the process or the Snakemake it started lives."""
    folder = root / ".snakemake"
    folder.mkdir(exist_ok=True)
    with (folder / "launch.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LaunchError("a study is already running in this folder; wait for it, or stop it first") from None
        yield file.fileno()


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """The exit status, also after Ctrl-C, which reaches the process too: it has jobs to end and locks to clear."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def _recover(snakemake: list[str], root: Path) -> None:
    """Remove the locks that a killed Snakemake left, once no Snakemake runs here that might own them."""
    if not any((root / ".snakemake" / "locks").glob("*")):
        return
    if running := _snakemake_in(root):
        raise LaunchError(f"Snakemake is already running in this folder (process {running}); wait for it, or stop it")
    subprocess.run([*snakemake, "--unlock", "--quiet"], cwd=root, check=True)


def _snakemake_in(root: Path) -> int | None:
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            # One that a cluster started for a job belongs to another, which may be gone.
            is_launch = any(Path(word).name == "snakemake" for word in words[:3]) and "--target-jobs" not in words
            if is_launch and Path(process.cwd()) == root:
                return int(process.pid)
        except psutil.Error:  # ended, or somebody else's
            continue
    return None


def _is_stale(report: Path, results: Path) -> bool:
    """Whether something the report shows is newer than it."""
    if not report.is_file():
        return True
    shown = [*results.glob("figures/*.svg"), *results.glob("report/*.html")]
    return any(file.stat().st_mtime > report.stat().st_mtime for file in shown)
