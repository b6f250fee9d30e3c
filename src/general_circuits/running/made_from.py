"""Record of the config that a study's results were made from, so that no other config replaces them by accident.

The folder of results has the study's name. A copied config with the same name would use the same folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from general_circuits.storage.files import MADE_FROM, replacing


class OtherConfigError(ValueError):
    """Refusal to use results that another config made. The message names both configs and says how to go on."""


def check(results: Path, configs: Sequence[Path], root: Path) -> None:
    """Refuse a config if a study's results were made from another one that still exists.

    Args:
        results: the study's folder.
        configs: the config files of this run, in order.
        root: the checkout.

    Raises:
        OtherConfigError: the results are another config's.
    """
    try:
        text = (results / MADE_FROM).read_text(encoding="utf-8") if (results / MADE_FROM).is_file() else ""
    except (OSError, ValueError):
        return
    recorded = [root / line for line in text.splitlines() if line]
    for other in recorded:
        if other.is_file() and not any(config.exists() and config.samefile(other) for config in configs):
            record = os.path.relpath(results / MADE_FROM, root)
            name, now = os.path.relpath(other, root), " and ".join(relative(configs, root)) or "the command line"
            raise OtherConfigError(
                f"{now}: the results in {os.path.relpath(results, root)} were made from {name}, and would be replaced."
                f" Give the study another name (`study:`), or remove {record} if the results may be replaced"
                " (`general-circuits run --replace` does that)"
            )


def keep(results: Path, configs: Sequence[Path], root: Path) -> None:
    """Record the config files of a run. Arguments are those of `check`."""
    text = "".join(f"{name}\n" for name in relative(configs, root))
    path = results / MADE_FROM
    if not path.is_file() or path.read_bytes() != text.encode():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def relative(configs: Sequence[Path], root: Path) -> list[str]:
    """Return the names of files below the checkout relative to it, so that they hold in a copy, and others in full."""
    home, files = root.resolve(), [(root / config).resolve() for config in configs]
    return [str(file.relative_to(home) if file.is_relative_to(home) else file) for file in files]
