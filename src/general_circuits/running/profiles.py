"""Profiles of Snakemake: those of a user or a site say how jobs run, and never which."""

from __future__ import annotations

import sys
import textwrap
from functools import cache
from typing import IO, Any, NoReturn

from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser

from general_circuits.running.environment import UNSTARTED

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
    """Ignore settings of a user's or a site's profile that decide what runs, and name them; refuse one that is none.

    Profiles of this project call this. Snakemake reads the workflow's own profile first, and then all others.
    """
    parse = ProfileConfigFileParser.parse

    def parse_harmless(parser: Any, stream: IO[str]) -> dict[str, Any]:
        try:
            settings = parse(parser, stream)
        except Exception as error:
            # Where the file is YAML, but no mapping, Snakemake's own words say no more.
            why = str(error).partition("Couldn't parse config file: ")[2]
            why = f" ({textwrap.shorten(why, 100, placeholder=' …')})" if why else ""
            _refuse(stream.name, f"cannot be read as keys with values, such as jobs: 4{why}")
        if unknown := {name for name in settings if name.lstrip("-") not in _options()}:
            _refuse(stream.name, f"Snakemake has no option {', '.join(sorted(unknown))}")
        ignored = {name for name in settings if name.lstrip("-") in deciding()}
        if ignored:
            print(
                f"{stream.name}: this project ignores {', '.join(sorted(ignored))}, since this decides what runs; give"
                " it on the command line if you mean it",
                file=sys.stderr,
            )
        return {name: value for name, value in settings.items() if name not in ignored}

    ProfileConfigFileParser.parse = parse_harmless


def _refuse(profile: str, why: str) -> NoReturn:
    """End Snakemake as it ends itself at a wrong option, but in one sentence and without all of its options."""
    print(f"snakemake: the profile {profile}: {why}; mend it, or unset SNAKEMAKE_PROFILE", file=sys.stderr)
    raise SystemExit(UNSTARTED)


def deciding() -> set[str]:
    """Return all options of Snakemake itself that are not in `HARMLESS`. Options of plugins are not among them."""
    return {name for name, is_own in _options().items() if is_own} - HARMLESS


@cache
def _options() -> dict[str, bool]:
    """Map the long name of every option to whether it is one of Snakemake itself, and not of a plugin."""
    groups = get_argument_parser()._action_groups
    groups = sorted(groups, key=lambda group: "plugin settings" not in group.title)
    return {
        option.lstrip("-"): "plugin settings" not in group.title
        for group in groups
        for action in group._group_actions
        for option in action.option_strings
        if option.startswith("--")
    }
