"""Check of all files of a study: their seals and places, weights and training states included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from general_circuits.duels import files as modules
from general_circuits.storage import checkpoints, files, tables, tensors, training_states
from general_circuits.storage.schemas import registry

PICTURES = ("figures", "report")
"""Folders whose files end with a seal."""
TENSORS = [*checkpoints.PLACES, *modules.PLACES]


def faults(results: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file in a study's folder that can be checked, with the sentence that refuses it, or an empty text."""
    for path in sorted(results.rglob("*.*")):
        inside = path.relative_to(results)
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            if files.STATES in inside.parts and path.suffix == ".safetensors":
                yield path, training_states.fault(path)
                continue
            if path.suffix == ".parquet":
                tables.check(path, registry.of_path(path))
            elif path.suffix == ".safetensors":
                with tensors.opened(path, TENSORS):
                    pass
            elif path.suffix == ".sha256":
                files.check_seal(path)
            elif inside.parts[0] in PICTURES:
                files.check_end(path)
            else:
                continue
        except files.UnusableFileError as error:
            yield path, str(error)
        else:
            yield path, ""
