"""Old results: files in a study's folder that no job of the study makes any more, such as those of a removed condition.

Snakemake's own DAG says what the study's jobs make: tables, weights, logs, benchmarks, figures and pages. Three more
kinds of file belong to a study as long as it has their condition and block: replays, every example's saliency, and
training states. The first two are made on request, and the last are no outputs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from general_circuits.config.study import Study
from general_circuits.running import configs, launch, made_from, report_record
from general_circuits.storage.files import STATES

ON_REQUEST = ("replay_block", "extract_example_saliency")
"""Rules whose jobs run only if their files are asked for."""
BESIDE = ("report.html", report_record.RECORD, made_from.RECORD, str(launch.LAUNCHES))
"""Files in a study's folder that are no outputs of a rule."""


@dataclass(frozen=True)
class Old:
    """Files that no longer belong to a study.

    Attributes:
        results: the study's folder.
        files: those in folders that the workflow writes to; pruning removes them.
        others: files and links elsewhere in the study's folder, which are left alone.
        size: bytes of `files`.
    """

    results: Path
    files: list[Path]
    others: list[Path]
    size: int


def find(study: Study, config: Path, root: Path) -> Old:
    """Find the files that no longer belong to a study.

    Args:
        study: the study.
        config: its config file.
        root: the checkout.

    Raises:
        OtherConfigError: the results were made from another config.
        LaunchError: the study's folder is a symbolic link.
    """
    results = Path("results") / study.study
    if (root / results).is_symlink() or (root / "results").is_symlink():
        raise launch.LaunchError(f"{results} is a symbolic link, and nothing behind a link is removed")
    made_from.check(root / results, [config], root)
    made, requested, folders = _workflow(config, root)
    files: list[Path] = []
    others: list[Path] = []
    for path in _walk(root / results):
        name = str(path.relative_to(root))
        within = path.relative_to(root / results)
        if name in made or str(within) in BESIDE or _is_kept(study, within, name, requested):
            continue
        is_ours = within.parts[0] in folders and len(within.parts) > 1 and not (path.is_symlink() and path.is_dir())
        (files if is_ours else others).append(path)
    return Old(root / results, files, others, sum(path.lstat().st_size for path in files))


def remove(old: Old) -> None:
    """Remove files that no longer belong to a study, and the folders in it that they leave empty."""
    for path in old.files:
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != old.results and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def _workflow(config: Path, root: Path) -> tuple[set[str], list[re.Pattern[str]], set[str]]:
    """Return what Snakemake knows of a study, with paths relative to the checkout.

    Returns:
        The files that the study's jobs make; patterns of files that are made on request; and folders that rules write
        to, directly below the study's folder.
    """
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
        made = {str(path) for job in jobs.dag.jobs for path in job.products()}
        rules = {rule.name: _patterns(rule) for rule in jobs.rules}
    requested = [pattern.regex() for name in ON_REQUEST for pattern in rules[name]]
    folders = {Path(str(pattern)).parts[2] for patterns in rules.values() for pattern in patterns} | {STATES}
    return made, requested, folders


def _patterns(rule: Any) -> list[Any]:
    """Return the patterns of a rule's files."""
    return [*rule.output, *rule.log, *([rule.benchmark] if rule.benchmark else [])]


def _is_kept(study: Study, within: Path, name: str, requested: Iterable[re.Pattern[str]]) -> bool:
    """Tell whether a file that no job of the study makes is still of one of the study's conditions and blocks."""
    if within.parts[0] == STATES:
        state = re.fullmatch(rf"{STATES}/([^/]+)/(\d+)/replica-(\d+)/.+", str(within))
        if state:
            return _has(study, state[1], state[2]) and int(state[3]) < study.block
        return len(within.parts) == 2  # the pipeline's own, such as the number of the run on a cluster
    found = next((match for pattern in requested if (match := pattern.fullmatch(name))), None)
    return found is not None and _has(study, found["condition"], found["block"])


def _has(study: Study, condition: str, block: str) -> bool:
    return condition in study.conditions and int(block) < study.blocks


def _walk(folder: Path) -> Iterable[Path]:
    """Yield every file and every link below a folder, in order. No link is followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in sorted([*files, *links]))
