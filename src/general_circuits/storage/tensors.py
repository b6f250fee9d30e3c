"""Files of tensors: safetensors, written whole or not at all, sealed, and read only in their place (storage/files.py).

The format holds numbers and JSON, and reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from general_circuits.storage.files import (
    UNSEALED,
    UnusableFileError,
    check_place,
    check_seal,
    place_of,
    replacing,
    seal,
)

HEADER = "general_circuits"
"""The only key of a file's metadata.

safetensors writes several keys in an order that changes from run to run; equal work must give equal bytes."""


def write(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any], places: Iterable[str]) -> None:
    """Write tensors, and in the header JSON values and the file's place.

    Args:
        path: the file.
        tensors: the tensors by name.
        values: the values.
        places: templates of the places that such a file can have.
    """
    place, names = place_of(path, places)
    header = {"file": {"place": place, **names, "seal": UNSEALED}, **values}
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, metadata={HEADER: json.dumps(header, sort_keys=True)})
        # safetensors makes files that only their owner may read. These get the permissions of any other new file.
        temporary.chmod(mode)
        seal(temporary)


@contextmanager
def opened(path: Path, places: Iterable[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a file and yield it with the values of its header.

    Raises:
        UnusableFileError: the file is damaged, belongs to another place, or is no file of tensors.
    """
    check_seal(path)
    try:
        file = safe_open(path, "pt")
        values = json.loads(file.metadata()[HEADER])
    except (SafetensorError, KeyError, TypeError):
        raise UnusableFileError(path, "is no file of tensors") from None
    check_place(path, places, values["file"])
    with file:
        yield file, values
