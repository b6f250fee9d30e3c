"""Fixtures: one tiny study that runs once, its report, and a fresh copy for each test that changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from checkouts import Project, checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the study after a full run. A test that changes something asks for `project` instead."""
    project = checkout(tmp_path_factory.mktemp("finished") / "project")
    run = project.quickly("--cores", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    return project


@pytest.fixture(scope="session")
def report(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the study's report, written outside its results."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    run = finished.snakemake("--report", str(path))
    assert run.returncode == 0, run.stderr
    assert "<string>:" not in run.stderr, "a caption is not valid reStructuredText"
    return path


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """Return a plain recursive copy of the finished study. Its files have new dates."""
    shutil.copytree(finished.root, tmp_path / "copy", copy_function=shutil.copyfile)
    return Project(tmp_path / "copy")
