"""Parquet between stages: what a table is, an atomic write and a checked read. `schemas/` has the tables."""

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
"""Of what a network computes, in its own precision."""
INTEGERS, SINGLES = pa.list_(INTEGER), pa.list_(SINGLE)
TYPES = {
    CATEGORY: "category",
    INTEGER: "integer",
    NUMBER: "number",
    SINGLE: "number",
    FLAG: "yes/no",
    TEXT: "text",
    INTEGERS: "list of integers",
    SINGLES: "list of numbers",
}
"""The types in words."""

MEANINGS: Mapping[str, str] = {
    "condition": "the setting, by its name in the study's config",
    "replica": "the seed, of everything that is drawn; conditions are paired by it",
    "step": "updates made so far; 0 is the initialisation",
    "split": "on which examples: train or validation",
    "a": "the first operand, a symbol from 0; missing where there are not two operands",
    "b": "the second operand",
    "inputs": "all inputs, symbols from 0; missing where they are a and b",
    "layer": "the transformer block, or hidden layer, whose neurons these are, from 0",
    "site": (
        "where in it: mlp (the MLP's units after the activation), head_outputs (the units of the attention heads'"
        " outputs) or heads (whole heads)"
    ),
    "method": "how saliency is computed: docs/saliency.md has the list",
    "target": (
        "what saliency explains: right_minus_mean (the label's logit minus the mean logit), right_logit, margin (minus"
        " the largest other logit) or log_probability"
    ),
    "normalisation": (
        "raw; matched (of logits divided by their scale, which is 1 then at every checkpoint: docs/saliency.md); or"
        " per_example (each example's saliencies divided by the sum of their sizes over the neurons)"
    ),
    "dead_units": "whether neurons that are not alive are included or excluded",
}
"""Of the columns that tell rows apart in several tables, said once."""


@dataclass(frozen=True)
class Table:
    """One kind of file.

    Attributes:
        name: as claims and figures ask for it.
        path: under `results/{study}/`.
        row: what there is one row per, in words.
        key: the columns that tell rows apart, with their types; rows are sorted by them.
        columns: the others.
        meanings: what each column is, with its unit and range, save where `MEANINGS` says it.
        is_of_all: whether every condition has it, and not only those of a claim.
        measurement: which one makes it, if a condition may do without.
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
        """What its path names: a study has one file for each combination of their values."""
        return [name for _, name, _, _ in Formatter().parse(self.path) if name]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(list({**self.key, **self.columns}.items()))

    def described(self) -> dict[str, tuple[str, str]]:
        """Every column's type in words and its meaning, in the order of columns."""
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
    """A name of this process's own to write under; renamed to `path` when the block ends well, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, table: Table, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a frame as a table, sorted by its key.

    Args:
        path: the file; written under another name and renamed into place.
        table: which kind.
        frame: exactly the table's columns, in any order.
        metadata: JSON values kept in the file's schema beside the package version. Nothing that changes between two
            equal runs belongs here: equal work gives equal bytes.
    """
    schema = table.schema
    _check_columns(path, table, frame.columns.tolist())
    # Categories as plain strings first: a frame's own order and unused ones must reach neither rows nor bytes.
    frame = frame.astype(
        {column: str for column in frame.columns if isinstance(frame[column].dtype, pd.CategoricalDtype)}
    )
    frame = frame.sort_values(list(table.key), ignore_index=True)
    content = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(content.replace_schema_metadata(_texts(metadata)), temporary, compression="zstd")


def joined(table: Table, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The parts of a table below one another; without any, the table without rows."""
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=table.schema.names)


def write_in_parts(
    path: Path, table: Table, parts: Iterable[pd.DataFrame], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a table too large for memory: `parts` of it, each sorted by its key and all in the order of their keys."""
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
    """Read a table; `ValueError` if the file's columns or their types are others."""
    content = pq.read_table(path)
    _check_columns(path, table, content.column_names)
    wrong = [field.name for field in table.schema if content.schema.field(field.name).type != field.type]
    if wrong:
        found = {column: str(content.schema.field(column).type) for column in wrong}
        raise ValueError(f"{path}: not a {table.name} table: columns of another type: {found}")
    return content.to_pandas()


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON values that `write` kept in the schema."""
    metadata = pq.read_schema(path).metadata
    return {key.decode(): json.loads(value) for key, value in metadata.items() if key != b"general_circuits"}


def files(table: Table, axes: Mapping[str, Sequence[Any]]) -> list[str]:
    """Where a study's files of a table are, under its folder: one for each combination of what its path names.

    Args:
        table: which kind.
        axes: by the names in a path (`condition`, `block`, `claim`), the study's values in order.
    """
    combinations = itertools.product(*(axes[name] for name in table.axes))
    return [table.path.format(**dict(zip(table.axes, values, strict=True))) for values in combinations]


def read_study(results: Path, table: Table, axes: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """All of a study's files of a table, below one another; `condition`, if it has one, keeps the given order.

    Args:
        results: the study's folder, `results/{study}`.
        table: which kind.
        axes: as of `files`.
    """
    frames = [read(results / file, table) for file in files(table, axes)]
    categories = [name for name in table.axes if table.key.get(name) == CATEGORY]
    frame = pd.concat([part.astype(dict.fromkeys(categories, str)) for part in frames], ignore_index=True)
    return frame.assign(**{name: pd.Categorical(frame[name], categories=list(axes[name])) for name in categories})


def _texts(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """What a file's schema says of it, as text."""
    texts = {key: json.dumps(value, sort_keys=True) for key, value in sorted((metadata or {}).items())}
    return {**texts, "general_circuits": __version__}


def _check_columns(path: Path, table: Table, found: Sequence[str]) -> None:
    expected = table.schema.names
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        raise ValueError(f"{path}: not a {table.name} table: missing columns {missing}, unknown columns {unknown}")
