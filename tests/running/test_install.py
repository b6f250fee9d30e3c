"""Installing: `make` mends .venv by what it holds, and a copied or moved folder runs its own code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from checkouts import checkout

from general_circuits.running import install

ROOT = Path(__file__).parents[2]
MARK = "print('code of this folder')\n"
HOW = {
    "its own command": [".venv/bin/general-circuits", "reference", "--help"],
    "its own Python": [".venv/bin/python", "-m", "general_circuits.cli", "reference", "--help"],
    "its own Snakemake": [".venv/bin/snakemake", "--list-rules"],
    "a stage": [".venv/bin/python", "-m", "general_circuits.stages.index_table", "--help"],
    "activated": ["bash", "-c", ". .venv/bin/activate && general-circuits reference --help"],
    "pip's command of the original": ["../original/by-pip", "reference", "--help"],
    "the original's Snakemake": ["../original/.venv/bin/snakemake", "--list-rules"],
}
"""Commands in a copied checkout. Some of them start with the original's environment."""


class Installed:
    """A package as `importlib.metadata` lists it."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Let every wanted package be installed, but these in other versions. An empty version stands for none."""
    pins = {line.partition("==")[0]: line.partition("==")[2] for line in install.wanted("dev")} | versions
    packages = [Installed(name, version) for name, version in pins.items() if version]
    monkeypatch.setattr(metadata, "distributions", lambda: packages)


def test_nothing_is_installed_if_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    assert install.not_installed("runtime") == []
    assert install.not_installed("dev") == []


def test_missing_and_old_packages_are_found_and_a_build_for_gpus_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, rich="", numpy="2.0.0", pytest="", torch="2.13.0+cu130", markupsafe="1.0")
    runtime = {line.partition("==")[0].lower() for line in install.not_installed("runtime")}
    assert runtime == {"rich", "numpy", "markupsafe"}
    assert {line.partition("==")[0].lower() for line in install.not_installed("dev")} == {*runtime, "pytest"}


def fake_python(folder: Path, version: str) -> Path:
    """Return a program that tells this version when it is asked, and fails at anything else."""
    program = folder / "python"
    told = f"import sys; sys.version_info = ({version}, 0); exec(sys.argv[1])"
    program.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "{told}" "$2"\nexit 7\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("version", ["3, 10", "3, 14", "2, 7", ""])
def test_make_refuses_other_pythons_in_one_sentence(version: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    python = fake_python(tmp_path, version) if version else "/none/python3"
    run = subprocess.run(
        ["make", "--no-print-directory", "figures", f"PYTHON={python}"],
        cwd=tmp_path,
        # The suite's own `make` must not speak here.
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    said, ended = run.stderr.strip().splitlines()
    assert said == f"make: {python} is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=python3.13 …"
    assert "Error 1" in ended


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of a checkout with its environment. Code in the copy has a mark."""
    folder = tmp_path_factory.mktemp("a place")
    original = checkout(folder / "original").root
    shutil.copy(ROOT / "constraints.txt", original)
    environment(original)
    shutil.copytree(original, folder / "cöpy's", symlinks=True)
    copy = folder / "cöpy's"
    for file in ("cli.py", "pipeline/dag.py", "stages/index_table.py"):
        code = copy / "src/general_circuits" / file
        future = "from __future__ import annotations\n"
        code.write_text(code.read_text().replace(future, future + MARK, 1))
    return copy


def environment(root: Path) -> None:
    """Make an environment as `make` does, but with the packages of this one instead of copies."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    packages = next(root.glob(".venv/lib/python*/site-packages"))
    (packages / "others.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    script = ["-P", "src/general_circuits/running/install.py", "runtime"]
    subprocess.run([".venv/bin/python", *script], cwd=root, env=plain(), check=True)
    # pip writes the absolute path of the environment into its commands.
    start = f"#!/bin/sh\n'''exec' '{root}/.venv/bin/python' \"$0\" \"$@\"\n' '''\n"
    (root / "by-pip").write_text(f"{start}from general_circuits.cli import main\nmain()\n")
    (root / "by-pip").chmod(0o755)


def plain() -> dict[str, str]:
    """Return the environment variables of a shell in which nothing was activated."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.mark.parametrize("how", HOW)
def test_a_copied_checkout_runs_its_own_code_by_every_command(how: str, copied: Path) -> None:
    run = subprocess.run(HOW[how], cwd=copied, env=plain(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert MARK[7:-3] in run.stdout + run.stderr


def test_commands_of_the_environment_start_without_a_users_home_of_python(copied: Path) -> None:
    for command in (HOW["its own command"], HOW["its own Snakemake"]):
        env = {**plain(), "PYTHONHOME": "/none"}
        run = subprocess.run(command, cwd=copied, env=env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr


def test_a_moved_environment_is_tied_to_its_new_folder_without_a_connection(copied: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(copied, moved, symlinks=True)
    activate = moved / ".venv/bin/activate"
    assert str(moved) not in activate.read_text()
    command = [".venv/bin/python", "-P", "src/general_circuits/running/install.py", "runtime"]
    subprocess.run(command, cwd=moved, env=plain(), check=True)
    assert str(moved) in activate.read_text()
    before = activate.stat().st_mtime_ns
    subprocess.run(command, cwd=moved, env=plain(), check=True)
    assert activate.stat().st_mtime_ns == before


def test_an_environment_without_its_python_says_what_mends_it(copied: Path, tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    shutil.copytree(copied / ".venv/bin", bin_folder, symlinks=True)
    for name in os.listdir(bin_folder):
        if name.startswith("python"):
            (bin_folder / name).unlink()
    run = subprocess.run([bin_folder / "snakemake", "-n"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (
        1,
        f"{bin_folder}/snakemake: there is no Python in .venv any more; make .venv/runtime mends it\n",
    )
