"""One command for a whole study: recover from an interrupted run, run Snakemake, make the report."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from general_circuits import machine
from general_circuits.config.errors import ConfigError, cut, some
from general_circuits.config.load import load
from general_circuits.config.read import read
from general_circuits.pipeline.dag import Dag
from general_circuits.running import lock, made_from, report_record
from general_circuits.running.environment import UNSTARTED
from general_circuits.running.lock import LaunchError as LaunchError
from general_circuits.running.lock import alone as alone
from general_circuits.running.stopping import CONTINUES, Stopper
from general_circuits.storage.files import MADE_FROM


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
        LaunchError: there is no such config or profile, the config cannot run, another run goes on in this checkout, a
            job failed, or a signal asked for a stop.
    """
    how = ["--cores", str(cores)] if profile is None else ["--workflow-profile", str(_profile(profile, root))]
    with _running(study, root, replace) as run:
        start, report = time.monotonic(), run.results / "report.html"
        try:
            run.make(*how)
            if not report_record.is_current(run.dag, root):
                unfinished = report.with_name(".report.html")
                if run.snakemake("--report", str(unfinished.relative_to(root))):
                    raise LaunchError(f"{study}: everything ran, but the report could not be made")
                unfinished.replace(report)
                report_record.keep(run.dag, root)
        finally:
            if profile is None:
                _record(run.results, time.monotonic() - start, cores)
    return report


LAUNCHES = Path("benchmarks/launches.tsv")
"""File below a study's results: seconds of each launch on one machine, with the report, its cores and the machine."""


LEAST_ROOM = 20_000_000
"""Bytes that have to be free. With fewer, Snakemake cannot even keep its own records."""


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
    with _running(study, root) as run:
        run.make("--cores", "1", str((run.results / path).relative_to(root)))
        return run.results / path


@dataclass(frozen=True)
class Run:
    """A study that runs in this process, which holds the checkout's lock.

    Attributes:
        study: the study, as the user calls it.
        root: the checkout.
        config: its config.
        dag: its jobs.
        descriptor: file descriptor of the lock.
        stopper: runs Snakemake.
    """

    study: str
    root: Path
    config: Path
    dag: Dag
    descriptor: int
    stopper: Stopper

    @property
    def results(self) -> Path:
        """Folder of its results."""
        return self.root / self.dag.results

    def make(self, *arguments: str) -> None:
        """Run Snakemake's jobs.

        Raises:
            LaunchError: a job failed, or a signal asked for a stop.
        """
        progress = ["--logger", "rich"] if sys.stderr.isatty() else []
        if status := self.snakemake(*arguments, "--rerun-incomplete", *progress):
            # Another Snakemake may have started at the same time, and made this one fail.
            if other := lock.holder(self.root):
                raise LaunchError(f"{self.study}: {other}")
            cause = _unwritable(self.root) or _stopped(status) or "a job failed"
            raise LaunchError(f"{self.study}: not finished, since {cause}; {CONTINUES}")

    def snakemake(self, *arguments: str) -> int:
        """Run Snakemake and return its exit status.

        Raises:
            LaunchError: a signal asked for a stop, or Snakemake did not start.
        """
        command = [sys.executable, "-m", "snakemake", "--configfile", str(self.config.relative_to(self.root))]
        # Snakemake inherits the lock. If this process is killed, no second launch can start while Snakemake still runs.
        status = self.stopper.run([*command, *arguments], self.root, [self.descriptor])
        if status is None:
            lock.clear(self.root)
            number = self.stopper.signal
            cause = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            raise LaunchError(f"{self.study}: stopped by {cause}; {CONTINUES}", 128 + number)
        if status == UNSTARTED:
            raise LaunchError(f"{self.study}: not started, since Snakemake refused an option or a profile")
        return status


@contextlib.contextmanager
def _running(study: str, root: Path, replace: bool = False) -> Iterator[Run]:
    """Check the config, take the lock, and clear what a killed run left. Nothing is written before the config holds."""
    stopper = Stopper()
    config = config_file(study, root)
    try:
        dag = Dag(load(read(config)))
        results = root / dag.results
        check_results(results)
        if not replace:
            made_from.check(results, [config], root)
    except (ConfigError, made_from.OtherConfigError) as error:
        raise LaunchError(f"{study}: {error}") from None
    if cause := _unwritable(root):
        raise LaunchError(f"{study}: not started, since {cause}")
    try:
        with lock.only_launch(study, root) as descriptor:
            lock.clear(root)
            if replace:
                (results / MADE_FROM).unlink(missing_ok=True)
            yield Run(study, root, config, dag, descriptor, stopper)
    except OSError as error:
        raise LaunchError(f"{study}: {error.filename or root}: {error.strerror}. Mend this, and run it again") from None


def _stopped(status: int) -> str | None:
    """Return which signal ended Snakemake, from its exit status; `None` if none did."""
    number = -status if status < 0 else status - 128
    known = {each.value: each.name for each in signal.Signals}
    return f"Snakemake was stopped by {known[number]}" if number in known else None


def _unwritable(root: Path) -> str | None:
    """Return why results cannot be written here; `None` if they can."""
    folder = root / "results" if (root / "results").is_dir() else root
    free = shutil.disk_usage(folder).free
    if free < LEAST_ROOM:
        return f"the disk of {folder} has {free / 1e6:.0f} MB left: make room"
    return None if os.access(folder, os.W_OK) else f"{folder} may not be written: give access to it"


WORKSTATION = "workstation"
"""Name of the study in config/config.yaml. Every other config has the name of its study."""


def config_file(study: str, root: Path) -> Path:
    """Return the config file of a study.

    Raises:
        LaunchError: there is none of this name, or there are two.
    """
    folder = root / "config"
    # Names are looked up and no path is made of them: a path can be too long, or lead elsewhere.
    files = {file.stem: file for file in folder.iterdir() if file.suffix == ".yaml"} if folder.is_dir() else {}
    if not files:
        raise LaunchError(f"{root} has no config/: run this in the folder of the project")
    if {"config", WORKSTATION} <= files.keys() and study in ("config", WORKSTATION):
        both = f"config/config.yaml and config/{WORKSTATION}.yaml"
        raise LaunchError(f"study {study!r}: {both} have this name; rename config/{WORKSTATION}.yaml")
    named = {WORKSTATION if name == "config" else name: file for name, file in files.items()}
    if study not in named:
        wrong = (
            "should be a name and no path" if "/" in study else f"there is no config/{cut(study, quoted=False)}.yaml"
        )
        if study == "config":
            wrong = f"config/config.yaml is the study {WORKSTATION}"
        raise LaunchError(f"study {cut(study)}: {wrong}; known: {some(sorted(named))}")
    return named[study]


def _profile(name: str, root: Path) -> Path:
    """Return the folder of a profile; refuse a name without one."""
    folder = root / "profiles"
    known = sorted(file.parent.name for file in folder.glob("*/config.yaml"))
    if name not in known:
        wrong = "should be a name and no path" if "/" in name else f"there is no profiles/{cut(name, quoted=False)}"
        raise LaunchError(f"profile {cut(name)}: {wrong}; known: {some(known) or 'none'}")
    return folder / name


def check_results(results: Path) -> None:
    """Refuse a folder of results that leads out of results/. The folder results/ itself may be a link."""
    if results.resolve() != results.parent.resolve() / results.name:
        raise LaunchError(f"{results} is a link that leads out of results/, to {results.resolve()}; remove the link")
