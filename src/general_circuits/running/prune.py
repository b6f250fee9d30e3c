"""Old results: files in a study's folder that no job of the study makes any more, such as those of a removed condition.

Replays, every example's saliency and training states belong to a study as long as it has their condition and block. The
first two are made on request, and the last are no outputs.

Only what the workflow wrote is removed. A table, weights, a picture or a page says so itself, with a seal that holds
and with its place. Logs, benchmarks and states are known by their names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from general_circuits.config.study import Study
from general_circuits.running import check, launch, made_from, products, report_record
from general_circuits.running.products import Products
from general_circuits.storage.files import MADE_FROM, STATES

BESIDE = ("report.html", report_record.RECORD, MADE_FROM, str(launch.LAUNCHES))
"""Files in a study's folder that are no outputs of a rule."""


@dataclass(frozen=True)
class Old:
    """Files that no longer belong to a study.

    Attributes:
        results: the study's folder.
        files: those that the workflow wrote; pruning removes them.
        others: other files and links, which are left alone.
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
    of_study = products.of_study(config, root)
    files: list[Path] = []
    others: list[Path] = []
    for path in _walk(root / results):
        name = str(path.relative_to(root))
        within = path.relative_to(root / results)
        if name in of_study.made or str(within) in BESIDE or _is_kept(study, within, name, of_study):
            continue
        (files if _is_ours(path, within, name, of_study) else others).append(path)
    return Old(root / results, files, others, sum(path.lstat().st_size for path in files))


def remove(old: Old) -> None:
    """Remove files that no longer belong to a study, and the folders in it that they leave empty."""
    for path in old.files:
        path.unlink(missing_ok=True)
        folder = path.parent
        while folder != old.results and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


STATE = re.compile(rf"{STATES}/([^/]+)/(\d+)/replica-(\d+)/[^/]+/\.?(?:state|record)-[^/]+")
"""Places of training states and records: condition, block and replica's position. A dot begins an unfinished one."""


def _is_ours(path: Path, within: Path, name: str, of_study: Products) -> bool:
    """Tell whether the workflow wrote a file, with any config."""
    if path.is_symlink() or not path.is_file():
        return False
    if STATE.fullmatch(str(within)) or any(pattern.search(name) for pattern in of_study.unsealed):
        return True
    return any(pattern.search(name) for pattern in of_study.sealed) and not check.fault(path)


def _is_kept(study: Study, within: Path, name: str, of_study: Products) -> bool:
    """Tell whether a file that no job of the study makes is still of one of the study's conditions and blocks."""
    if state := STATE.fullmatch(str(within)):
        return _has(study, state[1], state[2]) and int(state[3]) < study.block
    if within.parts[0] == STATES:
        return len(within.parts) == 2  # the pipeline's own, such as the number of the run on a cluster
    found = next((match for pattern in of_study.requested if (match := pattern.fullmatch(name))), None)
    return found is not None and _has(study, found["condition"], found["block"])


def _has(study: Study, condition: str, block: str) -> bool:
    return condition in study.conditions and int(block) < study.blocks


def _walk(folder: Path) -> Iterable[Path]:
    """Yield every file and every link below a folder, in order. No link is followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in sorted([*files, *links]))
