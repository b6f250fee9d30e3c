"""An index blesses no damage, and a file that was replaced after it was made is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from general_circuits.storage import index, tables
from general_circuits.storage.files import UnusableFileError
from general_circuits.storage.schemas import registry
from general_circuits.storage.schemas.events import TABLE as EVENTS

AXES = {"condition": ["zeta", "alpha"], "block": [0, 1], "replica": [8, 9]}
ROW = {"event": "onset", "after": 3, "step": 4, "censored": False}


def events(path: Path, step: int = 4) -> None:
    condition, block = path.parts[-3:-1]
    tables.write(path, EVENTS, pd.DataFrame([{**ROW, "condition": condition, "replica": 8 + int(block), "step": step}]))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A study with an index of its events."""
    for file in tables.files(EVENTS, AXES):
        events(tmp_path / file)
    index.write(index.path_of(tmp_path, "events"), tmp_path, EVENTS, AXES)
    return tmp_path


def read(results: Path) -> pd.DataFrame:
    return registry.read(results, ["events"], {"events": AXES}, ["events"])["events"]


def refused(results: Path, message: str) -> None:
    with pytest.raises(UnusableFileError, match=message):
        read(results)


def test_files_that_agree_with_their_index_are_read(results: Path) -> None:
    assert read(results)["replica"].tolist() == [8, 9, 8, 9]


def test_a_file_that_was_replaced_since_is_refused_though_it_is_whole(results: Path) -> None:
    events(results / "runs/alpha/1/events.parquet", step=5)
    refused(results, r"runs/alpha/1/events\.parquet: is not the file that .*events\.sha256 lists")


def test_a_missing_file_is_refused(results: Path) -> None:
    (results / "runs/zeta/0/events.parquet").unlink()
    refused(results, r"runs/zeta/0/events\.parquet: is not the file")


def test_a_line_that_is_lacking_or_altered_is_found(results: Path) -> None:
    path = index.path_of(results, "events")
    text = path.read_text()
    path.write_text(text[: text.rindex("\n", 0, -1) + 1])
    refused(results, r"events\.sha256: is damaged")
    path.write_text(re.sub("[0-9a-f]{64}  ", "0" * 64 + "  ", text, count=1))
    refused(results, r"events\.sha256: is damaged")


def test_an_index_of_fewer_conditions_is_refused(results: Path) -> None:
    index.write(index.path_of(results, "events"), results, EVENTS, AXES | {"condition": ["zeta"]})
    refused(results, r"events\.sha256: lacks .*runs/alpha/0/events\.parquet")


def test_a_damaged_or_foreign_file_gets_no_line(results: Path) -> None:
    """An index that is made again must not bless what happened to a file."""
    path, old = results / "runs/alpha/0/events.parquet", (results / "runs/alpha/0/events.parquet").read_bytes()
    before = index.path_of(results, "events").read_bytes()
    for content in (old[:-1], (results / "runs/zeta/0/events.parquet").read_bytes(), b""):
        path.write_bytes(content)
        with pytest.raises(UnusableFileError, match=r"alpha/0/events\.parquet: "):
            index.write(index.path_of(results, "events"), results, EVENTS, AXES)
    assert index.path_of(results, "events").read_bytes() == before


def test_files_of_other_seeds_get_no_line(results: Path) -> None:
    with pytest.raises(UnusableFileError, match=r"zeta/0/events\.parquet: holds replicas \[8\], not \[0\]"):
        index.write(index.path_of(results, "events"), results, EVENTS, AXES | {"replica": [0, 1]})
