"""Environment of Snakemake and its jobs: no setting of a user or a site changes a result or what runs again."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

FIRST, LAST = (3, 11), (3, 13)
"""Versions of Python that the tests have run on. pyproject.toml and the Makefile name the same."""

PERSONAL = frozenset(
    {
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
    }
)
"""Variables with which a user asks Python or matplotlib for other behaviour. Jobs start without them."""


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


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take the user's own settings of Python and matplotlib out of an environment, and let Python speak UTF-8."""
    for name in PERSONAL & environment.keys():
        del environment[name]
    environment["PYTHONUTF8"] = "1"


def prepare() -> None:
    """Prepare the process that has started Snakemake. Profiles call this, before Snakemake looks at anything else.

    Raises:
        SystemExit: this version of Python is not supported.
    """
    if unfit := unfit_python():
        raise SystemExit(f"snakemake: {unfit}")
    settle()
    _find_a_cache()


def _find_a_cache() -> None:
    """Let Snakemake and its jobs keep their caches in this folder if the user's cache cannot be written."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "snakemake"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=cache).cleanup()
    except OSError:
        os.environ["XDG_CACHE_HOME"] = str(Path(".snakemake/cache").absolute())
