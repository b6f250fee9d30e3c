"""Environment: a user's own settings, the versions of Python, and whose code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from general_circuits import cli
from general_circuits.running import environment, install

ROOT = Path(__file__).parents[2]


def test_a_users_settings_of_python_and_matplotlib_are_taken_out_and_all_else_stays() -> None:
    variables = {"MPLBACKEND": "tkagg", "PYTHONWARNINGS": "error", "PYTHONPATH": "/a", "HOME": "/b", "LANG": "C"}
    environment.settle(variables)
    assert variables == {"PYTHONPATH": "/a", "HOME": "/b", "LANG": "C", "PYTHONUTF8": "1"}


@pytest.mark.parametrize(("version", "fits"), [((3, 10), 0), ((3, 11), 1), ((3, 13), 1), ((3, 14), 0), ((4, 0), 0)])
def test_versions_of_python_that_were_not_tested_are_refused_in_one_sentence(version: tuple, fits: int) -> None:
    said = environment.unfit_python(version)
    assert (said == "") == fits
    if said:
        assert said.startswith(f"Python {version[0]}.{version[1]} is not supported: use Python 3.11 to 3.13")
        assert "\n" not in said


def test_pip_conda_and_make_want_the_versions_that_the_code_accepts() -> None:
    (_, first), (_, last) = environment.FIRST, environment.LAST
    wanted = f">=3.{first},<3.{last + 1}"
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == wanted
    assert f"python{wanted}" in (ROOT / "environment.yml").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert f"(3, {first}) <= sys.version_info[:2] <= (3, {last})" in makefile
    assert re.search(r"Python 3\.11, 3\.12 or 3\.13", makefile)


@pytest.mark.parametrize("command", ["general_circuits.cli --help", "snakemake -n --configfile config/smoke.yaml"])
def test_a_command_that_starts_with_another_python_says_so_without_a_traceback(command: str, tmp_path: Path) -> None:
    """Only Python 3.99 is supported here, since no unsupported Python has the packages."""
    (tmp_path / "sitecustomize.py").write_text(
        "from general_circuits.running import environment\nenvironment.FIRST = environment.LAST = (3, 99)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    run = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert " is not supported: use Python 3.99 to 3.99" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_code_that_runs_is_compared_with_the_code_of_a_folder(tmp_path: Path) -> None:
    assert environment.not_own_code(ROOT / "src") == ""
    (tmp_path / "src").mkdir()
    assert environment.not_own_code(tmp_path / "src") == (
        f"the code in {ROOT / 'src'} would run instead of the code in {tmp_path / 'src'}; start in {tmp_path}"
    )


@pytest.mark.parametrize("letter", [":", "{", "}"])
def test_a_path_that_python_or_snakemake_cannot_use_is_refused(letter: str) -> None:
    said = environment.not_own_code(Path(f"/a{letter}b/src"))
    assert said == f"/a{letter}b/src: Python and Snakemake cannot use a path with {letter}; rename the folder"


def test_a_path_of_bytes_that_are_no_text_is_refused() -> None:
    said = environment.not_own_code(Path(os.fsdecode(b"/a\xff/src")))
    assert (
        said
        == r"'/a\udcff/src': Python and Snakemake cannot use a path with bytes that are no UTF-8; rename the folder"
    )


@pytest.mark.parametrize("name", ["", ".snakemake", "results"])
def test_a_folder_without_access_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (".snakemake", "results"):
        (tmp_path / folder).mkdir()
    assert environment.unfit_folder() == ""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / name)
    assert environment.unfit_folder().startswith(f"{tmp_path / name} cannot be written, and ")


def test_a_file_that_bash_would_run_first_reaches_no_job() -> None:
    variables = {"BASH_ENV": "/a/file", "SHELLOPTS": "noexec", "BASHOPTS": "extglob", "TERMINAL_WIDTH": "abc"}
    environment.settle(variables)
    assert variables == {"PYTHONUTF8": "1"}


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null", "/dev/null/none"])
def test_caches_move_into_this_folder_if_those_of_the_user_cannot_be_written(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv(name, home)
        environment._find_a_cache()
        assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / ".snakemake/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environment._find_a_cache()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "cache")


def test_missing_packages_and_other_versions_are_told_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.unlike_packages() == ("", "")
    versions = {"torch": "2.11.0+cu130", "numpy": "2.4.6+local"}
    monkeypatch.setattr(install, "wanted", lambda group: ["this==1", "torch==2.13.0", "numpy==2.4.6", "absent==1"])
    monkeypatch.setattr(metadata, "version", lambda name: versions.get(name) or metadata.distribution(name).version)
    missing, others = environment.unlike_packages()
    assert missing == f"not installed: absent; {environment.MENDS}"
    assert others == f"results may have other bytes with torch 2.11.0+cu130 instead of 2.13.0; {environment.MENDS}"


def test_a_command_whose_package_is_missing_says_so_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cli, "app", run)
    with pytest.raises(SystemExit, match=r"^general-circuits: not installed: rich; `make \.venv/runtime`"):
        cli.main()
