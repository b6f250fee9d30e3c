"""Jobs of a tiny block, each in its own process, which tests kill; and the files that they leave."""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd

from general_circuits.records import to_json
from general_circuits.training.settings import Branch, Condition

ROOT = Path(__file__).parents[2]

WARM = multiprocessing.get_context("forkserver")
"""Starts processes from one that has imported torch, since the import takes most of a job's time."""
WARM.set_forkserver_preload(
    [f"general_circuits.stages.{stage}" for stage in ("train_block", "replay_block", "replay_moments")]
)


@dataclass(frozen=True)
class Job:
    """Training of one block.

    Attributes:
        inputs: folder of its split.
        folder: folder that it writes to: `run`, `states`, and logs, one per start.
        settings: its condition.
        code: fingerprint of its training code.
        keep: number of states that it leaves.
        places: folders outside `folder` for "run" or "states".
        branch: how it leaves `parent`.
        parent: finished job with its events, for a branch.
        as_kicked: finished job of another branch, whose lowest training accuracy a kick has to reach.
        partner: events of grokking, for a condition that ends with it.
    """

    inputs: Path
    folder: Path
    settings: Condition
    code: str = "c0de"
    keep: int = 100
    places: Mapping[str, Path] = field(default_factory=dict)
    branch: Branch | None = None
    parent: Job | None = None
    as_kicked: Job | None = None
    partner: Path | None = None

    @property
    def run(self) -> Path:
        return self.places.get("run", self.folder / "run")

    @property
    def states(self) -> Path:
        return self.places.get("states", self.folder / "states")

    @property
    def metrics(self) -> Path:
        return self.run / "metrics.parquet"

    def copy(self, folder: Path, **changes: Any) -> Job:
        """Copy everything that the job has written, and return a job that goes on with the copy."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, **changes)

    def options(self) -> dict[str, object]:
        """Return the options of the stage `train_block`."""
        return {
            "split": self.inputs / "split.parquet",
            "condition": "tiny",
            "settings": to_json(self.settings),
            "device": "cpu",
            "code": self.code,
            "states": self.states,
            "keep_states": self.keep,
            "branch": to_json(self.branch) if self.branch else "",
            "parent": self.parent.run if self.parent else ".",
            "parent_states": self.parent.states if self.parent else ".",
            "parent_code": self.parent.code if self.parent else "",
            "as_kicked": self.as_kicked.metrics if self.as_kicked else "",
            "partner": self.partner or "",
            "metrics": self.metrics,
        }

    def again(self) -> dict[str, object]:
        """Return the options that all stages have which train the block again."""
        shared = {name: self.options()[name] for name in ("split", "condition", "settings", "device", "states")}
        return shared | {"training_code": self.code}

    def find_events(self) -> pd.DataFrame:
        """Run the stage `find_events` on its metrics, and return the table that the stage writes beside them."""
        path = self.run / "events.parquet"
        parent = self.parent.metrics if self.parent else ""
        options = {"metrics": self.metrics, "condition": "tiny", "parent": parent, "output": path}
        assert finish("find_events", options, self.folder / "events.txt") == 0
        return pd.read_parquet(path)

    def start(self, file_limit: int | None = None) -> BaseProcess:
        """Start the job in a process that has imported its modules; no file may grow beyond the limit (bytes)."""
        return start("train_block", self.options(), self._new_log(), file_limit)

    def finish(self, file_limit: int | None = None) -> int:
        """Start the job, wait for its end, and return its exit status."""
        process = self.start(file_limit)
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the job with the command of the workflow."""
        command = [sys.executable, "-m", "general_circuits.stages.train_block", *_words(self.options())]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        with self._new_log().open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def log(self) -> str:
        """Return the log of the last start."""
        return self._logs()[-1].read_text()

    def state_files(self, position: int = 0, kind: str = "state") -> list[Path]:
        """Return the files of kept states or records of one replica, by step."""
        return sorted(self.states.glob(f"replica-{position}/*/{kind}-*"))

    def last_step(self, position: int = 0) -> int:
        """Return the step of the last state on disk; 0 without one."""
        return max((int(path.name.split("-")[1]) for path in self.state_files(position)), default=0)

    def results(self) -> dict[str, bytes]:
        """Return the bytes of all weights and metrics, by file name."""
        return {path.name: path.read_bytes() for path in sorted(self.run.glob("[!.]*"))}

    def kept(self) -> dict[str, bytes]:
        """Return the bytes of all states, by path."""
        return {
            str(path.relative_to(self.states)): path.read_bytes()
            for path in sorted(self.states.glob("*/*/[!.]*.safetensors"))
        }

    def temporary(self) -> list[Path]:
        """Return hidden files: every write begins as one, and renames it at its end."""
        return [path for folder in (self.run, self.states) for path in folder.rglob(".*")]

    def _logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def _new_log(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder / f"{len(self._logs()):03d}.log"


def start(stage: str, options: Mapping[str, object], log: Path, file_limit: int | None = None) -> BaseProcess:
    """Start a stage with these options in a new process, with its output in `log`."""
    process = WARM.Process(target=_run, args=(stage, _words(options), str(log), file_limit))
    process.start()
    return process


def finish(stage: str, options: Mapping[str, object], log: Path) -> int:
    """Run a stage with these options in a new process, and return its exit status."""
    process = start(stage, options, log)
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def wait_until(holds: Callable[[], bool], process: BaseProcess | subprocess.Popen[bytes]) -> bool:
    """Wait until a condition holds or the process ends, and tell whether the condition held first."""
    while not holds():
        ended = process.poll() is not None if isinstance(process, subprocess.Popen) else not process.is_alive()
        if ended:
            return False
        time.sleep(0.005)
    return True


def _run(stage: str, words: list[str], log: str, file_limit: int | None) -> None:
    """Run a stage as `python -m` does, within this process."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    module = f"general_circuits.stages.{stage}"
    sys.modules.pop(module, None)  # runpy warns about a module that is imported already
    sys.argv = [stage, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _words(options: Mapping[str, object]) -> list[str]:
    return [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
