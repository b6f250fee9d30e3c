"""Snakemake with this workflow, in a process that has imported all stages: each job is a fork and not a new Python.

The DAG, the rules, their commands and options are the real ones. Only the start of the interpreter and its imports are
left out, which take most of a tiny job's time.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shlex
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

ECHOED = re.compile(r"<\(echo ('(?:[^']|'\"'\"')*'|[^)\s]*)\)")
"""Text that a command gets as a file."""
COMMAND = re.compile(
    r"\s*(?:set -euo pipefail; *)?python -m general_circuits\.stages\.(\w+) (.*) > (\S+) 2>&1\s*", re.DOTALL
)
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
            sys.argv = [stage, *shlex.split(options)]
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
    _print_to(output)
    status = 1
    try:
        os.chdir(root)
        import snakemake.shell
        from snakemake.cli import main

        class Quick:
            """Stand-in for the module `subprocess` in Snakemake's shell."""

            def __getattr__(self, name: str) -> Any:
                return getattr(subprocess, name)

            @staticmethod
            def Popen(command: str, *args: Any, **kwargs: Any) -> Any:
                job = COMMAND.fullmatch(command)
                if job is None:
                    return subprocess.Popen(command, *args, **kwargs)
                return Fork(job[1], ECHOED.sub(_file, job[2]), job[3])

        import subprocess

        snakemake.shell.sp = Quick()
        main(arguments)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _print_to(path: Path) -> None:
    """Let this process print to a file, also if a test captures what it prints."""
    with path.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))


def _file(echoed: re.Match[str]) -> str:
    """Return the path of a file that holds an echoed text."""
    with tempfile.NamedTemporaryFile("w", dir=".", suffix=".echoed", delete=False, encoding="utf-8") as file:
        print(*shlex.split(echoed[1]), file=file)
    return file.name


def preload() -> None:
    """Import all stages and what their jobs import by name."""
    import pkgutil

    import general_circuits
    from general_circuits import stages
    from general_circuits.devices import set_up

    set_up("cpu")
    for module in pkgutil.iter_modules(stages.__path__):
        importlib.import_module(f"{stages.__name__}.{module.name}")
    for room in ("claims", "figures", "analysis", "storage.schemas", "tasks", "measurements.saliency", "report"):
        package = importlib.import_module(f"{general_circuits.__name__}.{room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
