"""Snakemake with this workflow, in a process that has imported all stages: each job is a fork and not a new Python.

The DAG, the rules, their commands and options are the real ones. Only the start of the interpreter and its imports are
left out, which take most of a tiny job's time. As a script, it takes Snakemake's arguments.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

ECHOED = re.compile(r"<\(echo ('(?:[^']|'\"'\"')*'|[^)\s]*)\)")
"""Text that a command gets as a file."""
COMMAND = re.compile(r".*; exec \s*python -m general_circuits\.stages\.(\w+) (.*) > (\S+) 2>&1\s*", re.DOTALL)
"""Command of a job: its stage, its options, and its log."""


class Fork:
    """Job in a fork of this process, with the methods of `subprocess.Popen` that Snakemake uses."""

    def __init__(self, stage: str, options: str, log: str) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            _print_to(Path(log))
            sys.argv = [stage, *shlex.split(ECHOED.sub(_file, options))]
            import typer

            from general_circuits.stages.command import with_options

            typer.run(with_options(importlib.import_module(f"general_circuits.stages.{stage}").main))
            status = 0
        except SystemExit as error:
            if isinstance(error.code, str):
                print(error.code, file=sys.stderr)
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def wait(self) -> int:
        """Wait until the job ends, and return its exit status."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def run(arguments: list[str], root: Path, output: Path) -> int:
    """Run Snakemake with these arguments in a fork of this process, and return its exit status.

    Args:
        arguments: command line of Snakemake.
        root: the checkout, which becomes the working directory.
        output: file that receives all that Snakemake prints.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        _print_to(output)
        os.chdir(root)
        snakemake(arguments)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def snakemake(arguments: list[str]) -> None:
    """Run Snakemake with these arguments, and leave this process as it does."""
    from snakemake.cli import main

    shell = importlib.import_module("snakemake.shell")  # the package's attribute `shell` is a class
    assert shell.sp is subprocess
    shell.sp = Quick()
    sys.exit(main(arguments))


class Quick:
    """Stand-in for the module `subprocess` in Snakemake's shell."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    @staticmethod
    def Popen(command: str, *args: Any, **kwargs: Any) -> Any:
        job = COMMAND.fullmatch(command)
        if job is None:
            assert "general_circuits.stages" not in str(command), f"unlike a job's command: {command}"
            return subprocess.Popen(command, *args, **kwargs)
        return Fork(job[1], job[2], job[3])


def _print_to(path: Path) -> None:
    """Let this process print to a file, also if a test captures what it prints."""
    with path.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))


def _file(echoed: re.Match[str]) -> str:
    """Return the path of a file in memory that holds an echoed text."""
    number = os.memfd_create("echoed")
    os.write(number, " ".join(shlex.split(echoed[1])).encode() + b"\n")
    return f"/dev/fd/{number}"


def preload() -> None:
    """Import all stages and what their jobs import by name."""
    import pkgutil

    import torch

    import general_circuits
    from general_circuits import stages

    # A fork of a process that has threads can hang. What else a stage sets up stays its own: figures round otherwise.
    torch.set_num_threads(1)
    for module in pkgutil.iter_modules(stages.__path__):
        importlib.import_module(f"{stages.__name__}.{module.name}")
    for room in ("claims", "figures", "analysis", "storage.schemas", "tasks", "measurements.saliency", "report"):
        package = importlib.import_module(f"{general_circuits.__name__}.{room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


if __name__ == "__main__":
    preload()
    snakemake(sys.argv[1:])
