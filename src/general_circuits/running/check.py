"""Check of a study's files: seals, places and indexes, weights and training states included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from general_circuits.duels import files as modules
from general_circuits.storage import checkpoints, files, index, tables, tensors, training_states
from general_circuits.storage.schemas import registry

TENSORS = [*checkpoints.PLACES, *modules.PLACES]


def faults(results: Path, outputs: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield every file that a study should have, with the sentence that refuses it, or an empty text.

    Training states come last: each that is there is checked.

    Args:
        results: the study's folder.
        outputs: the files, relative to this folder.
    """
    for inside in sorted(outputs):
        yield results / inside, fault(results / inside)
    for path in sorted((results / files.STATES).rglob("*.safetensors")):
        if not path.name.startswith("."):  # such a file is being written
            yield path, training_states.fault(path)


def fault(path: Path) -> str:
    """Return the sentence that refuses a file of a study; an empty text if it can be used."""
    try:
        if path.suffix == ".parquet":
            tables.check(path, registry.of_path(path))
        elif path.suffix == ".safetensors":
            with tensors.opened(path, TENSORS):
                pass
        elif path.suffix == ".sha256":
            index.read(path)
        else:
            files.check_end(path)
    except files.UnusableFileError as error:
        return str(error)
    return ""
