"""Digests: a file is read again exactly if it may have changed, whatever its date says."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from general_circuits.running import digests
from general_circuits.running.digests import Digests


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file whose digest is known. Its last change counts as settled."""
    monkeypatch.setattr(digests, "SETTLED", -1.0)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def store(tmp_path: Path, file: Path) -> Path:
    """Return a store that knows the file."""
    kept = Digests(tmp_path / "folder" / "digests.json")
    kept.of(str(file))
    kept.save()
    return kept.store


def test_a_digest_is_kept_between_runs_and_the_file_is_not_read_again(
    file: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "file_digest", None)  # reading would fail
    assert Digests(store).of(str(file)) == hashlib.sha256(b"one").hexdigest()


@pytest.mark.parametrize("date", [0, 1e9, 2e9, None])
def test_a_changed_file_of_the_same_size_is_seen_whatever_its_date(date: float | None, file: Path, store: Path) -> None:
    before = os.stat(file).st_mtime
    time.sleep(0.02)  # longer than a tick of the clock of any file system here
    file.write_bytes(b"two")
    os.utime(file, (date or before, date or before))
    assert Digests(store).of(str(file)) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_replaces_another_with_the_same_date_is_seen(file: Path, store: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, (os.stat(file).st_atime, os.stat(file).st_mtime))
    other.replace(file)
    assert Digests(store).of(str(file)) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    kept = Digests(tmp_path / "digests.json")
    kept.of(str(path))
    kept.save()
    assert not kept.store.exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_damaged_store_costs_time_and_nothing_else(content: bytes, file: Path, store: Path) -> None:
    store.write_bytes(content)
    assert Digests(store).of(str(file)) == hashlib.sha256(b"one").hexdigest()


def test_a_store_that_cannot_be_written_is_left(file: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    kept = Digests(blocked / "digests.json")
    kept.of(str(file))
    kept.save()
