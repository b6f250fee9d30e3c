"""Records of reports: content decides whether a report is made again, and dates do not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from checkouts import TINY

from general_circuits.config.load import load
from general_circuits.pipeline.dag import Dag
from general_circuits.running import report_record

DAG = Dag(load(TINY))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with a report and everything that it shows."""
    root = tmp_path / "checkout"
    for name in ("rules/report.smk", "report/figure.rst", "report/style.css"):
        path = root / "workflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for path in [root / DAG.results / "report.html", *_of_study(root)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    report_record.keep(DAG, root)
    return root


def _of_study(root: Path) -> list[Path]:
    return [path for path in report_record.shown(DAG, root) if path.is_relative_to(root)]


def test_a_report_is_made_again_if_the_content_of_anything_it_shows_changes(root: Path) -> None:
    assert report_record.is_current(DAG, root)
    for path in [root / DAG.results / "report.html", *_of_study(root)]:
        for change in ("changed", None):
            before = path.read_bytes()
            path.unlink()
            if change:
                path.write_text(change)
                os.utime(path, (100, 100))
            assert not report_record.is_current(DAG, root), path
            path.write_bytes(before)
    assert report_record.is_current(DAG, root)


def test_dates_and_moves_make_no_report_again(root: Path) -> None:
    for year, path in enumerate([*_of_study(root), root / DAG.results / "report.html"]):
        os.utime(path, (year * 3e7, year * 3e7))
    moved = shutil.move(root, root.with_name("moved"))
    assert report_record.is_current(DAG, Path(moved))


def test_a_report_without_a_whole_record_is_made_again(root: Path) -> None:
    record = root / DAG.results / report_record.RECORD
    record.write_bytes(record.read_bytes()[:-1] + b"\xff")
    assert not report_record.is_current(DAG, root)
    record.unlink()
    assert not report_record.is_current(DAG, root)


def test_drawings_that_the_study_no_longer_has_are_not_shown(root: Path) -> None:
    (root / DAG.results / "figures/old.svg").write_text("old")
    assert report_record.is_current(DAG, root)
