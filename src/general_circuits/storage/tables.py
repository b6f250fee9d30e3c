"""Parquet between stages: the kinds of table, atomic writes and checked reads. `schemas/` has the tables.

Stages meet in files. A job can be killed at any time, and another job may read a file as soon as it exists. So no file
may exist under its name until it is whole. It is written under another name and renamed, which is one step for the
file system.
"""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from general_circuits import __version__

CATEGORY = pa.dictionary(pa.int32(), pa.string())
INTEGER, NUMBER, FLAG, TEXT = pa.int32(), pa.float64(), pa.bool_(), pa.string()
SINGLE = pa.float32()
"""Type of numbers that a network computes, in its own precision."""
INTEGERS, SINGLES, NUMBERS = pa.list_(INTEGER), pa.list_(SINGLE), pa.list_(NUMBER)
TYPES = {
    CATEGORY: "category",
    INTEGER: "integer",
    NUMBER: "number",
    SINGLE: "number",
    FLAG: "yes/no",
    TEXT: "text",
    INTEGERS: "list of integers",
    SINGLES: "list of numbers",
    NUMBERS: "list of numbers",
}
"""Names of the types for readers."""

MEANINGS: Mapping[str, str] = {
    "condition": "the condition's name in the study's config",
    "replica": "the seed of everything that is drawn; conditions are compared replica by replica",
    "step": "updates made so far; 0 is the initialisation",
    "split": "the examples that are measured: train or validation",
    "a": "the first operand, a symbol from 0; missing in tasks without two operands",
    "b": "the second operand, as a",
    "inputs": "all inputs, symbols from 0; missing in tasks of two operands",
    "layer": "number of the transformer block or hidden layer that the neurons are in, from 0",
    "site": (
        "place in the layer: mlp (the MLP's units after the activation), head_outputs (units of the attention heads'"
        " outputs) or heads (whole heads)"
    ),
    "method": "attribution method of the saliency; docs/saliency.md lists them",
    "target": (
        "number that saliency explains: right_minus_mean (the label's logit minus the mean logit), right_logit, margin"
        " (the label's logit minus the largest other one) or log_probability"
    ),
    "normalisation": (
        "raw; matched (logits are divided by their scale, docs/saliency.md, so that it is 1 at every checkpoint); or"
        " per_example (an example's saliencies are divided by the sum of their magnitudes over the neurons)"
    ),
    "dead_units": "whether dead neurons, 0 on every example, are included or excluded",
}
"""Meanings of columns that several tables share."""


@dataclass(frozen=True)
class Table:
    """One kind of file.

    Attributes:
        name: the name that claims and figures use.
        path: path under `results/{study}/`.
        row: text that completes "one row per".
        key: columns that tell rows apart, with their types; rows are sorted by them.
        columns: all other columns, with their types.
        meanings: each column's meaning, with unit and range; columns in `MEANINGS` may be left out.
        is_of_all: whether every condition has the table, and not only conditions of some claim.
        measurement: the measurement that makes the table, if a condition may do without it.
    """

    name: str
    path: str
    row: str
    key: Mapping[str, pa.DataType]
    columns: Mapping[str, pa.DataType]
    meanings: Mapping[str, str]
    is_of_all: bool = True
    measurement: str = ""

    @property
    def axes(self) -> list[str]:
        """Names in the path, in order: a study has one file for each combination of their values."""
        return [name for _, name, _, _ in Formatter().parse(self.path) if name]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(list({**self.key, **self.columns}.items()))

    def described(self) -> dict[str, tuple[str, str]]:
        """Describe every column by its type in words and its meaning, in the order of columns."""
        meanings = {**MEANINGS, **self.meanings}
        return {field.name: (TYPES[field.type], meanings[field.name]) for field in self.schema}


REPLICA: Mapping[str, pa.DataType] = {"condition": CATEGORY, "replica": INTEGER}
INPUTS: Mapping[str, pa.DataType] = {"a": INTEGER, "b": INTEGER, "inputs": INTEGERS}
NEURONS: Mapping[str, pa.DataType] = {
    **REPLICA,
    "step": INTEGER,
    "split": CATEGORY,
    "layer": INTEGER,
    "site": CATEGORY,
}
ATTRIBUTION: Mapping[str, pa.DataType] = {"method": CATEGORY, "target": CATEGORY, "normalisation": CATEGORY}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace `path` in one step: give a temporary name to write under, renamed to `path` when the block ends well.

    A reader sees the old file or the new one, and nothing in between. If the block fails, the old file stays as it was
    and the new one is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within a file system. The random part keeps two writers apart.
    # The leading dot hides the file from patterns such as *.parquet.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, table: Table, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a frame as a table, sorted by its key.

    Args:
        path: the file.
        table: the kind of table.
        frame: exactly the table's columns, in any order.
        metadata: JSON values kept in the file's schema beside the package version. Equal work gives equal bytes, so
            nothing that changes between two equal runs belongs here.

    Raises:
        ValueError: columns are missing or unknown.
    """
    schema = table.schema
    _check_columns(path, table, frame.columns.tolist())
    # Categories become plain strings first. A frame's order of categories and unused ones must not reach the bytes.
    frame = frame.astype(
        {column: str for column in frame.columns if isinstance(frame[column].dtype, pd.CategoricalDtype)}
    )
    frame = frame.sort_values(list(table.key), ignore_index=True)
    content = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(content.replace_schema_metadata(_texts(metadata)), temporary, compression="zstd")


def joined(table: Table, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the parts of a table below one another; without parts, return the table without rows."""
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=table.schema.names)


def write_in_parts(
    path: Path, table: Table, parts: Iterable[pd.DataFrame], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a table that is too large for memory, part by part.

    Args:
        path: the file.
        table: the kind of table.
        parts: frames, each sorted by the table's key, in the order of their keys.
        metadata: as for `write`.

    Raises:
        ValueError: columns are missing or unknown, or parts are out of order.
    """
    schema = table.schema.with_metadata(_texts(metadata))
    last: tuple[Any, ...] = ()
    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in parts:
            _check_columns(path, table, part.columns.tolist())
            first, here = (tuple(part[list(table.key)].iloc[i]) for i in (0, -1))
            if not last <= first <= here:
                raise ValueError(f"{path}: parts out of order: {first} to {here} after {last}")
            last = here
            writer.write_table(pa.Table.from_pandas(part[schema.names], schema=schema, preserve_index=False))


def read(path: Path, table: Table) -> pd.DataFrame:
    """Read a table.

    Raises:
        ValueError: the file's columns or their types are not the table's.
    """
    content = pq.read_table(path)
    _check_columns(path, table, content.column_names)
    wrong = [field.name for field in table.schema if content.schema.field(field.name).type != field.type]
    if wrong:
        types = {column: str(content.schema.field(column).type) for column in wrong}
        raise ValueError(f"{path}: not a {table.name} table: columns of another type: {types}")
    return content.to_pandas()


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the JSON values that `write` kept in the schema."""
    metadata = pq.read_schema(path).metadata
    return {key.decode(): json.loads(value) for key, value in metadata.items() if key != b"general_circuits"}


def files(table: Table, axes: Mapping[str, Sequence[Any]]) -> list[str]:
    """List a table's files in a study, relative to the study's folder: one for each combination of values in its path.

    Args:
        table: the kind of table.
        axes: the study's values in order, by their names in a path (`condition`, `block`, `claim`).
    """
    combinations = itertools.product(*(axes[name] for name in table.axes))
    return [table.path.format(**dict(zip(table.axes, values, strict=True))) for values in combinations]


def read_study(results: Path, table: Table, axes: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Read all of a study's files of a table into one frame, in the order of `axes`.

    Args:
        results: the study's folder, `results/{study}`.
        table: the kind of table.
        axes: as for `files`; columns such as `condition` get these values as their categories.
    """
    frames = [read(results / file, table) for file in files(table, axes)]
    categories = [name for name in table.axes if table.key.get(name) == CATEGORY]
    frame = pd.concat([part.astype(dict.fromkeys(categories, str)) for part in frames], ignore_index=True)
    return frame.assign(**{name: pd.Categorical(frame[name], categories=list(axes[name])) for name in categories})


def _texts(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Return metadata as texts, with the package version."""
    texts = {key: json.dumps(value, sort_keys=True) for key, value in sorted((metadata or {}).items())}
    return {**texts, "general_circuits": __version__}


def _check_columns(path: Path, table: Table, columns: Sequence[str]) -> None:
    """Refuse columns that are not exactly the table's."""
    expected = table.schema.names
    missing, unknown = sorted(set(expected) - set(columns)), sorted(set(columns) - set(expected))
    if missing or unknown:
        raise ValueError(f"{path}: not a {table.name} table: missing columns {missing}, unknown columns {unknown}")
