"""Environment of Snakemake and its jobs: no setting of a user or a site changes a result or what runs again."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import warnings
from collections.abc import MutableMapping
from importlib import metadata
from pathlib import Path

from general_circuits.running import install

FIRST, LAST = (3, 11), (3, 13)
"""Versions of Python that the tests have run on. pyproject.toml and the Makefile name the same."""

UNSTARTED = 2
"""Exit status of Snakemake where it refuses an option or a profile, before it runs anything."""

PERSONAL = frozenset(
    {
        "BASHOPTS",
        "BASH_ENV",
        "MATPLOTLIBRC",
        "MPLBACKEND",
        "PYTHONDEVMODE",
        "PYTHONINSPECT",
        "PYTHONIOENCODING",
        "PYTHONOPTIMIZE",
        "PYTHONPROFILEIMPORTTIME",
        "PYTHONSTARTUP",
        "PYTHONVERBOSE",
        "PYTHONWARNINGS",
        "SHELLOPTS",
        "TERMINAL_WIDTH",
    }
)
"""Variables with which a user asks Python, matplotlib, bash or typer for other behaviour. Jobs start without them."""


MENDS = "`make .venv/runtime` or the command of docs/running.md installs what this checkout asks for"

NOT_ALLOWED = {errno.EACCES, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOSPC, errno.EPERM, errno.EROFS}
"""Errors of the machine that a user can do something about: no permission, no room, or too long a name."""


def unfit_python(version: tuple[int, ...] = sys.version_info[:2]) -> str:
    """Say that this version of Python is not supported; empty if it is."""
    if FIRST <= version[:2] <= LAST:
        return ""
    return (
        f"Python {version[0]}.{version[1]} is not supported: use Python {_dotted(FIRST)} to {_dotted(LAST)},"
        f" for example make PYTHON=python{_dotted(LAST)}"
    )


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def run_own_code() -> None:
    """Start again with the code of the checkout in this folder, if the code of another one is running.

    The environment of a copied checkout still names the original.

    Raises:
        SystemExit: the code in this folder cannot be run.
    """
    own = Path.cwd() / "src"
    if (own / "general_circuits" / "cli.py").is_file() and (why := not_own_code(own)):
        if os.environ.get("PYTHONPATH") == str(own):
            raise SystemExit(f"general-circuits: {why}")
        os.environ["PYTHONPATH"] = str(own)
        os.execv(sys.executable, [sys.executable, "-m", "general_circuits.cli", *sys.argv[1:]])


def not_own_code(source: Path) -> str:
    """Say why the code in a folder cannot run, or is not what runs; empty if it runs."""
    try:
        str(source).encode()
    except UnicodeEncodeError:
        return (
            f"{str(source)!a}: Python and Snakemake cannot use a path with bytes that are no UTF-8; rename the folder"
        )
    if unusable := [letter for letter in (os.pathsep, "{", "}") if letter in str(source)]:
        return f"{source}: Python and Snakemake cannot use a path with {unusable[0]}; rename the folder"
    running = Path(__file__).parents[2]
    if not running.samefile(source):
        return f"the code in {running} would run instead of the code in {source}; start in {source.parent}"
    return ""


def unfit_folder() -> str:
    """Say why a study cannot run in the current folder; empty if it can."""
    for name, what in (("", "results"), (".snakemake", "Snakemake's records"), ("results", "results")):
        folder = Path.cwd() / name
        if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return f"{folder} cannot be written, and {what} would go there; give access to it"
    return ""


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take the user's own settings of `PERSONAL` out of an environment, and let Python speak UTF-8."""
    for name in PERSONAL & environment.keys():
        del environment[name]
    environment["PYTHONUTF8"] = "1"


def prepare() -> None:
    """Prepare the process that has started Snakemake. Profiles call this, before Snakemake looks at anything else.

    Raises:
        SystemExit: this version of Python is not supported, or a package is missing.
    """
    missing, others = unlike_packages()
    if unfit := unfit_python() or missing:
        raise SystemExit(f"snakemake: {unfit}")
    if others:
        print(f"snakemake: {others}", file=sys.stderr)
    if "PYTHONWARNINGS" in os.environ:
        warnings.simplefilter("ignore")  # Snakemake's own warnings would end it if they were errors
    settle()
    _find_a_cache()


def unlike_packages() -> tuple[str, str]:
    """Say which packages are missing, and which have another version than this checkout asks for; empty if none."""
    missing, others = [], []
    for name, _, version in (line.partition("==") for line in install.wanted("runtime")[1:]):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
        else:
            if found.partition("+")[0] != version:
                others.append(f"{name} {found} instead of {version}")
    return (
        f"not installed: {', '.join(missing)}; {MENDS}" if missing else "",
        f"results may have other bytes with {', '.join(others)}; {MENDS}" if others else "",
    )


def _find_a_cache() -> None:
    """Let Snakemake and its jobs keep their caches in this folder if the user's cache cannot be written."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "snakemake"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=cache).cleanup()
    except OSError:
        os.environ["XDG_CACHE_HOME"] = str(Path(".snakemake/cache").absolute())
