"""Configs as Snakemake reads them: every file and every `--config` passes through this project's strict reader."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snakemake import cli
from snakemake.exceptions import CliException
from snakemake.settings import types

from general_circuits.config.errors import ConfigError
from general_circuits.config.read import merged

OPTIONS = (("--config", "-C"), ("--configfile", "--configfiles"))
"""Options of Snakemake that take configs, each with its other names."""


def read_strictly() -> None:
    """Let Snakemake read what `--configfile` and `--config` give with `config.read`. Profiles call this.

    Snakemake reads configs before the Snakefile. Its own reader runs templates in them as code. It ends with a
    traceback for bytes that are no UTF-8, for deep nesting and for an alias of itself. In YAML that stands on the
    command line, it takes every number for text. Of an option that is given twice it takes the last one in silence.
    """
    for option in OPTIONS:
        if sum(argument.partition("=")[0] in option for argument in sys.argv) > 1:
            raise SystemExit(f"snakemake: {option[0]} is given twice, and the last would count; give all values to one")
    types.load_configfile = lambda path: _read([Path(path)], [])
    cli.parse_config = lambda entries: _read([], entries or [])


def written(workflow: Any) -> dict[str, Any]:
    """Return the config of a workflow, read strictly also if no profile has called `read_strictly`.

    Raises:
        ConfigError: a file or a value means something else than it looks like.
    """
    settings = workflow.config_settings
    return merged([Path(file) for file in settings.configfiles], settings.config_args or [])


def _read(files: Sequence[Path], changes: Sequence[str]) -> dict[str, Any]:
    """Do as `config.read.merged`, with the exception that Snakemake prints without a traceback."""
    try:
        return merged(files, changes)
    except ConfigError as error:
        raise CliException(str(error)) from None
