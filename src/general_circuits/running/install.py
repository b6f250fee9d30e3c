"""Make .venv hold what this checkout asks for. `make` runs this file by its path, before any package is installed.

What is installed decides, and no date: so a copied, moved or half-finished .venv is noticed and mended.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

START = """#!/bin/sh
# Runs the Python beside this file, so that a copied or moved folder runs its own code. PYTHONHOME names another Python.
python="$(dirname -- "$(realpath -- "$0")")/python"
[ -x "$python" ] || {{ echo "$0: there is no Python in .venv any more; make .venv/runtime mends it" >&2; exit 1; }}
unset PYTHONHOME
exec "$python" -m {module} "$@"
"""
COMMANDS = {"general-circuits": "general_circuits.cli", "snakemake": "snakemake"}
"""Module that each command of the documentation starts."""


def main(group: str) -> None:
    """Install the packages of a group, "runtime" or "dev", unless they are there; then tie .venv to this folder."""
    if os.pathsep in str(ROOT):
        raise SystemExit(f"make: {ROOT}: Python cannot import from a path with {os.pathsep!r}; rename the folder")
    try:
        if Path(sys.prefix).resolve() != VENV.resolve():
            # The Python of .venv is missing, or too old or new: otherwise `make` would have started this file with it.
            _run(sys.executable, "-m", "venv", "--clear", str(VENV), failure="Python could not make .venv")
            os.execv(PYTHON, [str(PYTHON), __file__, group])
        if wrong := not_installed(group):
            print(f"make: installing {', '.join(wrong[:3])}{' …' if len(wrong) > 3 else ''} in .venv", flush=True)
            pip = (str(PYTHON), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt")
            others = (line for line in wrong if _name(line) != _name(wanted(group)[0]))
            _run(
                *(*pip, "--editable", "." if group == "runtime" else ".[dev]", *others),
                failure="pip could not install the packages; is there a connection, and room on the disk?",
            )
        _tie()
    except OSError as error:
        raise SystemExit(f"make: {error.filename or VENV}: {error.strerror}; .venv is not up to date") from None


def wanted(group: str) -> list[str]:
    """Return this project and its requirements for a group, each as name==version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    of_tests = project["optional-dependencies"]["dev"] if group == "dev" else []
    return [f"{project['name']}=={project['version']}", *project["dependencies"], *of_tests]


def not_installed(group: str) -> list[str]:
    """Return the requirements that .venv lacks or has in another version, and constraints that it breaks.

    A build of torch for GPUs has the same version with an addition, such as +cu130. It is left alone.
    """
    installed = {_name(each.name): _version(each.version) for each in metadata.distributions()}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    bound = [line for line in lines if "==" in line and _name(line) in installed and not line.startswith("#")]
    pins = {_name(line): line for line in [*bound, *wanted(group)]}
    return [line for name, line in pins.items() if installed.get(name) != _version(line.partition("==")[2])]


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", requirement.partition("==")[0].strip()).lower()


def _version(version: str) -> str:
    return version.strip().partition("+")[0]


def _tie() -> None:
    """Let the Python and the commands of .venv use this folder, wherever it has been copied or moved to."""
    if VENV.is_symlink():
        return  # it belongs to another folder
    settings = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")
    if f" {VENV}\n" not in settings:  # it names the folder where it was made, and `activate` does too
        _run(sys.executable, "-m", "venv", "--without-pip", str(VENV), failure="Python could not mend .venv")
    # The name puts it before the entry of pip, which is the absolute path of the original.
    packages = next(VENV.glob(f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"))
    _write(packages / "0_this_checkout.pth", os.path.relpath(ROOT / "src", packages) + "\n")
    for command, module in COMMANDS.items():
        _write(VENV / "bin" / command, START.format(module=module))
        (VENV / "bin" / command).chmod(0o755)


def _write(path: Path, text: str) -> None:
    """Write a file, unless it holds this text already."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _run(*command: str, failure: str) -> None:
    # A user's settings for pip must not send packages elsewhere than to .venv.
    if subprocess.run(command, cwd=ROOT, env={**os.environ, "PIP_USER": "0"}, check=False).returncode:
        raise SystemExit(f"make: {failure}")


if __name__ == "__main__":
    main(sys.argv[1])
