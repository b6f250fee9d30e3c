"""Products of a study's jobs, as Snakemake's own DAG says: tables, weights, logs, benchmarks, figures and pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.io import is_flagged, strip_wildcard_constraints
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from general_circuits.running import configs
from general_circuits.storage.files import place_pattern

ON_REQUEST = ("replay_block", "extract_example_saliency")
"""Rules whose jobs run only if their files are asked for."""


@dataclass(frozen=True)
class Products:
    """Files of a study, relative to the checkout.

    Attributes:
        made: all files that jobs of the study make, logs, benchmarks and files that are kept for a while included.
        kept: outputs among them that a finished study has.
        requested: patterns of files that are made on request.
        sealed: patterns of files that rules can make for any condition and block, and that have a seal.
        unsealed: patterns of logs and benchmarks.
    """

    made: frozenset[str]
    kept: frozenset[str]
    requested: list[re.Pattern[str]]
    sealed: list[re.Pattern[str]]
    unsealed: list[re.Pattern[str]]


def of_study(config: Path, root: Path) -> Products:
    """Return the products of a config's study in a checkout."""
    configs.read_strictly()
    quiet = OutputSettings(quiet={Quietness.ALL}, enable_file_logging=False)
    with SnakemakeApi(quiet) as api:
        settings = ConfigSettings(configfiles=[config])
        workflow = api.workflow(ResourceSettings(), settings, snakefile=root / "Snakefile", workdir=root)
        workflow.dag()
        jobs = workflow._workflow
        # Every job counts as one that has to run, so that no file is read.
        jobs._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        jobs._build_dag()
        outputs = [output for job in jobs.dag.jobs for output in job.output]
        made = {str(path) for job in jobs.dag.jobs for path in job.products()}
        rules = list(jobs.rules)
    return Products(
        frozenset(made),
        frozenset(str(output) for output in outputs if not is_flagged(output, "temp")),
        [path.regex() for rule in rules if rule.name in ON_REQUEST for path in [*rule.output, *_beside(rule)]],
        _patterns(path for rule in rules for path in rule.output),
        _patterns(path for rule in rules for path in _beside(rule)),
    )


def _beside(rule: Any) -> list[Any]:
    """Return a rule's log and benchmark."""
    return [*rule.log, *([rule.benchmark] if rule.benchmark else [])]


def _patterns(paths: Iterable[Any]) -> list[re.Pattern[str]]:
    """Return the patterns of paths with any text in place of a name in braces."""
    return [place_pattern(strip_wildcard_constraints(str(path))) for path in paths]
