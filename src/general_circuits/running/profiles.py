"""Profiles of Snakemake: those of a user or a site say how jobs run, and never which."""

from __future__ import annotations

import sys
from typing import IO, Any

from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser

_HARMLESS = """
    benchmark-extended conda-base-path conda-frontend conda-prefix container-image cores debug-dag default-res
    default-resources envvars force-use-threads greediness group-components groups jn job-deploy-sources jobname jobs
    jobscript js latency-wait local-cores local-storage-prefix logger max-inventory-time max-jobs-per-second
    max-jobs-per-timespan max-status-checks-per-second max-threads nocolor output-wait precommand preemptible-retries
    preemptible-rules printshellcmds queue-input-wait-time quiet remote-job-local-storage-prefix report-stylesheet res
    resources restart-times retries runtime-source-cache-path scheduler scheduler-greediness scheduler-subsample
    seconds-between-status-checks set-resource-scopes set-resources show-failed-logs verbose
    wait-for-free-local-storage"""
HARMLESS = frozenset(_HARMLESS.split())
"""Options of Snakemake that say how jobs run, and not which. A user's or a site's own profile may set these."""


def ignore_what_decides() -> None:
    """Ignore settings of a user's or a site's profile that decide what runs, and name them.

    Profiles of this project call this. Snakemake reads the workflow's own profile first, and then all others.
    """
    parse = ProfileConfigFileParser.parse

    def parse_harmless(parser: Any, stream: IO[str]) -> dict[str, Any]:
        settings = parse(parser, stream)
        ignored = {name for name in settings if name.lstrip("-") in deciding()}
        if ignored:
            print(
                f"{stream.name}: this project ignores {', '.join(sorted(ignored))}, since this decides what runs; give"
                " it on the command line if you mean it",
                file=sys.stderr,
            )
        return {name: value for name, value in settings.items() if name not in ignored}

    ProfileConfigFileParser.parse = parse_harmless


def deciding() -> set[str]:
    """Return all options of Snakemake itself that are not in `HARMLESS`. Options of plugins are not among them."""
    groups = [group for group in get_argument_parser()._action_groups if "plugin settings" not in group.title]
    options = {option for group in groups for action in group._group_actions for option in action.option_strings}
    return {option.lstrip("-") for option in options if option.startswith("--")} - HARMLESS
