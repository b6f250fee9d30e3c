"""Files are written whole or not at all. Damaged and foreign ones are refused by name."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from general_circuits.storage.files import (
    MADE_FROM,
    OPTIONS,
    UNSEALED,
    UnusableFileError,
    check_end,
    check_place,
    check_seal,
    end_with_seal,
    options_of,
    place_of,
    read_text,
    replacing,
    seal,
)


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing(tmp_path / "sub" / "new.csv") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "sub").iterdir()) == []


def test_two_writers_at_once_use_two_names_and_the_last_to_finish_stays(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    with replacing(path) as one:
        with replacing(path) as two:
            assert one != two
            one.write_text("one")
            two.write_text("two")
        assert path.read_text() == "two"
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_still_written_is_not_taken_for_a_table(tmp_path: Path) -> None:
    with replacing(tmp_path / "new.parquet") as temporary:
        temporary.write_text("")
        assert temporary.parent == tmp_path
        assert not list(tmp_path.glob("*.parquet"))


# Seals


def sealed(path: Path, before: bytes = b"before ", after: bytes = b" after") -> Path:
    path.write_bytes(before + UNSEALED.encode() + after)
    seal(path)
    return path


def test_the_seal_is_the_digest_of_the_file_with_zeros_in_its_place(tmp_path: Path) -> None:
    content = sealed(tmp_path / "file").read_bytes()
    digest = hashlib.sha256(b"before " + UNSEALED.encode() + b" after").hexdigest().encode()
    assert content == b"before general-circuits-sha256:" + digest + b" after"


def test_every_single_bit_counts(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file")
    check_seal(path)
    content = path.read_bytes()
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(UnusableFileError):
            check_seal(path)
    path.write_bytes(content)
    check_seal(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"\x80\x04K\x01.", "has no seal, so it is damaged or was not written by this version of general-circuits"),
        (UNSEALED.encode(), "is damaged: its bytes are not those that were written"),
        (UNSEALED.encode()[:-1], "is damaged: its bytes are not those that were written"),
        (UNSEALED.encode()[:24], "is damaged: its bytes are not those that were written"),
        (None, "is missing"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_the_command_that_mends_it(
    content: bytes | None, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(OPTIONS, "--configfile config/smoke.yaml")
    with pytest.raises(UnusableFileError) as refused:
        check_seal(path)
    command = f"snakemake --cores 1 --configfile config/smoke.yaml --force {path}"
    assert str(refused.value) == f"{path}: {fault}; make it anew: {command}"
    monkeypatch.delenv(OPTIONS)
    assert str(UnusableFileError(path, "is odd")).endswith(f"make it anew: snakemake --cores 1 --force {path}")


@pytest.mark.parametrize("here", [".", "elsewhere"])
def test_outside_of_a_run_the_command_is_for_the_study_that_the_file_belongs_to(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "my project"
    (root / "results/tiny/claims").mkdir(parents=True)
    (root / "results/tiny" / MADE_FROM).write_text("config/my tiny.yaml\n")
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / here)
    path = Path(os.path.relpath(root / "results/tiny/claims/verdicts.parquet"))
    command = str(UnusableFileError(path, "is odd")).partition("make it anew: ")[2]
    there = "" if here == "." else f"cd '{root}' && "
    made = "--configfile 'config/my tiny.yaml' --force results/tiny/claims/verdicts.parquet"
    assert command == f"{there}snakemake --cores 1 {made}"


def test_options_of_a_study_are_quoted_for_a_shell() -> None:
    words = options_of(["config/my tiny.yaml"], ["study=mine", "defaults={steps: 5}"])
    assert words == "--configfile 'config/my tiny.yaml' --config study=mine 'defaults={steps: 5}'"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_refused_in_a_sentence(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "metrics.parquet")
    with pytest.raises(UnusableFileError, match=r"metrics\.parquet: (is no regular file|cannot be read \(.+\)); make"):
        check_seal(tmp_path / "metrics.parquet")


def test_damage_is_found_though_size_and_date_stay_the_same(tmp_path: Path) -> None:
    path = sealed(tmp_path / "file")
    check_seal(path)
    about = path.stat()
    path.write_bytes(path.read_bytes().replace(b"after", b"AFTER"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(UnusableFileError):
        check_seal(path)


def test_a_picture_and_a_text_carry_a_seal_at_their_end_and_know_their_name(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    one, two = tmp_path / "figures/one.txt", tmp_path / "figures/two.txt"
    for path in (one, two):
        path.write_text("What is drawn.\nAll of it.\n")
        end_with_seal(path, path)
    assert read_text(one) == "What is drawn.\nAll of it."
    shutil.copy(one, two)
    with pytest.raises(UnusableFileError, match=r"two\.txt: was written as figures/one\.txt and copied here"):
        read_text(two)
    one.write_bytes(one.read_bytes()[:-1])
    with pytest.raises(UnusableFileError, match="is damaged"):
        check_end(one)


# Places

METRICS = ("runs/{condition}/{block}/metrics.parquet", "replays/{condition}/{block}/{replay}/metrics.parquet")


@pytest.mark.parametrize(
    ("path", "place", "names"),
    [
        ("results/smoke/runs/grokking/0/metrics.parquet", "runs/grokking/0/metrics.parquet", ["grokking", "0"]),
        ("replays/a/1/steps-0-3/metrics.parquet", "replays/a/1/steps-0-3/metrics.parquet", ["a", "1", "steps-0-3"]),
        ("results/runs/runs/runs/0/metrics.parquet", "runs/runs/0/metrics.parquet", ["runs", "0"]),
        ("results/smoke/myruns/grokking/0/metrics.parquet", "", []),
        ("results/smoke/runs/grokking/0/metrics.parquet.old", "", []),
        ("metrics.parquet", "", []),
    ],
)
def test_a_place_is_the_end_of_a_path_that_a_template_describes(path: str, place: str, names: list[str]) -> None:
    found, values = place_of(Path(path), METRICS)
    assert found == place
    assert list(values.values()) == names


def test_a_file_is_refused_anywhere_but_in_its_place(tmp_path: Path) -> None:
    written = {"place": "runs/grokking/0/metrics.parquet"}
    for study in ("smoke", "another"):
        check_place(tmp_path / study / "runs/grokking/0/metrics.parquet", METRICS, written)
    check_place(tmp_path / "a copy.parquet", METRICS, written)  # a path that says nothing asks for nothing
    for path in ("runs/grokking/1/metrics.parquet", "runs/other/0/metrics.parquet"):
        message = "was written as runs/grokking/0/metrics.parquet and copied here"
        with pytest.raises(UnusableFileError, match=message):
            check_place(tmp_path / path, METRICS, written)
    with pytest.raises(UnusableFileError, match="another kind of file"):
        check_place(tmp_path / "runs/grokking/0/metrics.parquet", METRICS, {"place": ""})
