"""Launches: the record that they leave for the README, and what they refuse before they write anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from general_circuits.running import launch, lock
from general_circuits.running.stopping import SIGNALS


@pytest.fixture(autouse=True)
def handlers_are_kept() -> Iterator[None]:
    """Give this process its own signal handlers back. A launch sets others."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_every_launch_adds_a_line_below_one_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.machine, "description", lambda: "A processor, 2 cores, 8 GB")
    launch._record(tmp_path, 12.34, 2)
    launch._record(tmp_path, 100.0, 16)
    assert (tmp_path / launch.LAUNCHES).read_text(encoding="utf-8").splitlines() == [
        "s\tcores\tmachine",
        "12.3\t2\tA processor, 2 cores, 8 GB",
        "100.0\t16\tA processor, 2 cores, 8 GB",
    ]
    assert pd.read_csv(tmp_path / launch.LAUNCHES, sep="\t")["s"].sum() == pytest.approx(112.3)


def test_a_machine_is_one_line_without_a_tab() -> None:
    assert not set("\t\n") & set(launch.machine.description())
    assert f"{os.cpu_count()} cores" in launch.machine.description()


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    root = Path(__file__).parents[2]
    assert launch._profile("slurm", root) == root / "profiles" / "slurm"
    with pytest.raises(launch.LaunchError, match=r"no profiles/slrum; known: default, slurm"):
        launch._profile("slrum", root)
    with pytest.raises(launch.LaunchError, match=r"should be a name and no path; known: default, slurm"):
        launch._profile("../profiles/slurm", root)


def test_two_configs_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    for name in ("config", "other"):
        (tmp_path / f"config/{name}.yaml").write_text(VALID)
    assert launch.config_file("workstation", tmp_path) == tmp_path / "config/config.yaml"
    with pytest.raises(
        launch.LaunchError, match=r"^study 'config': config/config.yaml is the study workstation; known"
    ):
        launch.config_file("config", tmp_path)
    (tmp_path / "config/workstation.yaml").write_text(VALID)
    for name in ("workstation", "config"):
        with pytest.raises(launch.LaunchError, match=r"config/config.yaml and config/workstation.yaml have this name"):
            launch.config_file(name, tmp_path)
    assert launch.config_file("other", tmp_path) == tmp_path / "config/other.yaml"


def test_a_folder_of_configs_that_may_not_be_read_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match="config"):
        launch.config_file("mine", tmp_path)


def test_nothing_goes_on_where_snakemake_did_not_start(tmp_path: Path) -> None:
    """Snakemake has the status 2 where it refuses an option or a profile."""
    stopper = SimpleNamespace(run=lambda *_: 2)
    run = launch.Run("mine", tmp_path, tmp_path / "config/mine.yaml", None, 0, stopper)
    with pytest.raises(launch.LaunchError) as refused:
        run.make()
    assert str(refused.value) == "mine: not started, since Snakemake refused an option or a profile"


VALID = "study: mine\nconditions: {grokking: {}}\n"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (VALID.replace("mine", "../../x"), "study = '../../x'"),
        (VALID.replace("mine", "/tmp/x"), "study = '/tmp/x'"),
        (VALID.replace("mine", '""'), "study = ''"),
        (VALID + "replicas: 0\n", "replicas = 0"),
        (VALID + "study: other\n", "written twice"),
        (VALID + "measurements: [salience]\n", "measurements"),
        ("conditions: {grokking: {}}\n", "study: missing"),
        ("", "is empty"),
        ("[" * 3000, "nested"),
    ],
)
def test_a_config_that_cannot_run_is_refused_before_anything_is_written(
    written: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text(written)
    with pytest.raises(launch.LaunchError) as refusal:
        launch.launch("mine", 1, tmp_path)
    assert words in str(refusal.value)
    assert "goes on from there" not in str(refusal.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["config", "mine.yaml"]


@pytest.mark.parametrize("name", ["../config/mine", "/etc/passwd", "sub/mine", "", "."])
def test_a_study_is_named_and_not_given_by_a_path(name: str, tmp_path: Path) -> None:
    (tmp_path / "config/sub").mkdir(parents=True)
    for path in ("config/mine.yaml", "config/sub/mine.yaml"):
        (tmp_path / path).write_text(VALID)
    with pytest.raises(launch.LaunchError, match=r"(there is no config/|should be a name and no path).*; known: mine$"):
        launch.config_file(name, tmp_path)
    with pytest.raises(launch.LaunchError, match="has no config/: run this in the folder of the project"):
        launch.config_file(name, tmp_path / "config")


def test_results_that_lead_elsewhere_are_refused_and_left_alone(tmp_path: Path) -> None:
    """The folder of all results may be a link, to a larger disk for example."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text(VALID)
    for folder in ("disk", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    launch.check_results(tmp_path / "results/mine")
    (tmp_path / "results/mine").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(launch.LaunchError, match="results/mine is a link that leads out of results/"):
        launch.launch("mine", 1, tmp_path)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not (tmp_path / ".snakemake").exists()


def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text(VALID)
    (tmp_path / ".snakemake").write_text("a file where a folder should be")
    with pytest.raises(launch.LaunchError, match=r"mine: .*/.snakemake: File exists"):
        launch.launch("mine", 1, tmp_path)


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mine.yaml").write_text(VALID)
    monkeypatch.setattr(launch.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3_000_000))
    with pytest.raises(launch.LaunchError, match=r"^mine: not started, since the disk of .* has 3 MB left: make room$"):
        launch.launch("mine", 1, tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["config", "mine.yaml"]


@pytest.mark.parametrize(
    ("words", "is_run"),
    [
        ("snakemake --cores 1", True),
        ("/usr/bin/python3 /home/a/.venv/bin/snakemake -n", True),
        ("python -m snakemake --cores 1", True),
        ("python -W ignore -P -X dev -m snakemake", True),
        ("coverage run --branch -m snakemake --cores 1", True),
        ("python -m snakemake --target-jobs a:b=c", False),  # one job of another Snakemake, on a cluster
        ("grep -r -e snakemake", False),
        ("python -m pip install -U snakemake", False),
        ("", False),
    ],
)
def test_a_run_of_snakemake_is_known_however_python_was_started(words: str, is_run: bool) -> None:
    assert lock.is_run(words.split()) == is_run


@pytest.mark.parametrize(
    ("status", "cause"), [(143, "SIGTERM"), (-9, "SIGKILL"), (130, "SIGINT"), (1, None), (2, None)]
)
def test_a_snakemake_that_was_stopped_alone_is_told_from_a_failed_job(status: int, cause: str | None) -> None:
    assert launch._stopped(status) == (f"Snakemake was stopped by {cause}" if cause else None)
