"""One tiny study, run once, and its report; every test works on a copy of it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from checkouts import Project, checkout

# A shell that puts the suite in its background ignores Ctrl-C for it, and what it starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study, run to its end. Not to be changed: ask for `project`."""
    project = checkout(tmp_path_factory.mktemp("finished") / "project")
    run = project.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    return project


@pytest.fixture(scope="session")
def report(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's report, somewhere else than its results."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    run = finished.snakemake("--report", str(path))
    assert run.returncode == 0, run.stderr
    assert "<string>:" not in run.stderr, "a caption is no valid reStructuredText"
    return path


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A plain recursive copy of the finished study, dates not kept."""
    shutil.copytree(finished.root, tmp_path / "copy", copy_function=shutil.copyfile)
    return Project(tmp_path / "copy")
