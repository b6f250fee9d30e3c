"""A checkout with a tiny study, and the commands that a user types in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import quick_snakemake
import yaml

from general_circuits.config.load import load
from general_circuits.figures.registry import FIGURES
from general_circuits.pipeline.dag import Dag

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "Makefile", "pyproject.toml", "environment.yml", "config", "profiles", "src", "workflow")
TINY: dict[str, Any] = {
    "study": "tiny",
    "replicas": 2,
    "block": 1,
    "defaults": {
        "operation": "x+y",
        "modulus": 7,
        "train_fraction": 0.6,
        "d_model": 8,
        "n_heads": 2,
        "d_mlp": 16,
        "batch_size": 16,
        "steps": 20,
        "checkpoints": {"log": 2, "every": 10},
        "metrics": {"log": 2, "every": 5},
    },
    "conditions": {"grokking": {}, "random_labels": {"label_noise": 1.0, "loss": "hinge"}},
    "measurements": {
        "saliency": {"by_example": 1},
        "ablation": {"k_points": 4, "random_draws": 2, "examples": 16},
        "progress": {"checkpoints": 2, "examples": 1, "examples_checkpoints": 1},
        "updates": {"checkpoints": 2},
        "onset": {"before": 5, "after": 5, "every": 5},
    },
    "duels": {
        "toy": {
            "pairs": 2,
            "coverages": [1, 2],
            "batch_sizes": [1, 2],
            "orders": ["shuffled"],
            "rules": {"sgd": {"learning_rate": 0.5, "weight_decays": [0.0, 0.01]}},
            "steps": 60,
        },
        "planted": {
            "modulus": 7,
            "d_mlp": 16,
            "parts": [1, 2],
            "memory_steps": 10,
            "general_steps": 10,
            "label_noises": [0.0],
            "batch_sizes": [4, 0],
            "margins": [4.0],
            "rules": {"sgd": {"learning_rate": 0.01, "weight_decays": [0.001]}},
            "duel_steps": 4,
            "evaluations": 2,
        },
    },
}
BRIEF = {
    "replicas": 1,
    "duels": {},
    "measurements": {name: TINY["measurements"][name] for name in ("saliency", "ablation")},
}
"""Changes that make `TINY` a study of one replica without duels, progress and updates."""
TINY_DRAWINGS = Dag(load(TINY)).drawings
"""Drawings of the tiny study. Claims whose variants it lacks have none."""
TINY_FIGURES = {name: FIGURES[name] for name, _ in TINY_DRAWINGS.values()}
"""Figures of the tiny study, by name."""


@dataclass(frozen=True)
class Project:
    """Checkout with the study `tiny`, and the commands that a user types in it."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results" / "tiny"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables without an activated environment: Python finds only the checkout's own package."""
        return {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(self.root / "src")}

    def with_python(self) -> dict[str, str]:
        """Environment variables with which the command of a job finds its Python."""
        return {**self.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}

    def configure(self, **changes: object) -> None:
        (self.root / "config" / "tiny.yaml").write_text(yaml.safe_dump({**TINY, **changes}))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(["-m", "snakemake"], arguments)

    def quickly(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake as `snakemake` does, with jobs that are forks: for runs of many jobs."""
        return self._run([quick_snakemake.__file__], arguments)

    def _run(self, program: list[str], arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *program, "--configfile", "config/tiny.yaml", *arguments]
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)

    def launch(self) -> subprocess.Popen[str]:
        """Start the command that `make figures STUDY=tiny CORES=2` runs."""
        command = [sys.executable, "-m", "general_circuits.cli", "run", "--study", "tiny", "--cores", "2"]
        return self.start(command, self.environment, subprocess.PIPE)

    def start(self, command: list[str], environment: dict[str, str], out: int | IO[str]) -> subprocess.Popen[str]:
        """Start a command in this folder and in its own session. Its output goes to `out`."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            text=True,
            start_new_session=True,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a run would start. Empty if there is nothing to do."""
        run = self.snakemake("--dry-run", *arguments)
        assert run.returncode == 0, run.stdout + run.stderr
        text = run.stdout + run.stderr
        if "Nothing to be done" in text:
            return {}
        rows = re.search(r"^job +count\n-+ +-+\n(.*?)^total", text, re.MULTILINE | re.DOTALL)
        assert rows is not None, text
        return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", rows.group(1), re.MULTILINE)}

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.root / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new, 1))


def checkout(folder: Path) -> Project:
    """Return a fresh checkout in which nothing has run."""
    folder.mkdir(parents=True)
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
    project = Project(folder)
    project.configure()
    return project
