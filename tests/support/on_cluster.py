"""Commands of a user on a cluster, in a checkout with the tiny study."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

from checkouts import BRIEF, Project, checkout
from cluster import Cluster


@dataclasses.dataclass(frozen=True)
class OnCluster:
    """Checkout with the study `tiny` on a cluster, and the commands that a user types in it."""

    project: Project
    cluster: Cluster

    @property
    def results(self) -> Path:
        return self.project.results

    @property
    def environment(self) -> dict[str, str]:
        return {**self.project.environment, **self.cluster.environment}

    def snakemake(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake with the profile. `output` holds what it prints."""
        profile = ["--workflow-profile", "profiles/slurm", "--configfile", "config/tiny.yaml"]
        return self.start([sys.executable, "-m", "snakemake", *profile, *arguments])

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        with (self.project.root / "output.txt").open("a") as out:
            return self.project.start(command, self.environment, out)

    @property
    def output(self) -> str:
        return (self.project.root / "output.txt").read_text()

    def makes(self, run: subprocess.Popen[str], files: list[Path], seconds: float = 400) -> None:
        """Wait until a run ends. Assert that it succeeded and made these files."""
        try:
            status = run.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise AssertionError(f"still running after {seconds} s:\n{self.output[-6000:]}") from None
        assert status == 0, self.output[-6000:]
        assert [file for file in files if not file.is_file()] == []

    def account(self, *fields: str) -> list[list[str]]:
        """Return these fields of every SLURM job that this checkout has had."""
        return self.cluster.account(self.project.root, *fields)

    def training_log(self, condition: str) -> str:
        path = self.results / f"logs/train_block/{condition}/0.log"
        return path.read_text() if path.is_file() else ""


def on(cluster: Cluster, folder: Path, **settings: object) -> OnCluster:
    """Return a fresh checkout in which nothing has run, with these settings of the study."""
    project = checkout(folder / "project")
    project.configure(**{**BRIEF, **settings})
    # A job here takes about eight seconds, so the first check after nine seconds usually finds it finished.
    project.edit("profiles/slurm/config.yaml", "before-status-checks: 20", "before-status-checks: 9")
    return OnCluster(project, cluster)
