"""Parquet between stages: the kinds of table, their writing, and their checked reading. `schemas/` has the tables."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from general_circuits import __version__
from general_circuits.storage.files import (
    UNSEALED,
    UnusableFileError,
    check_place,
    check_seal,
    place_of,
    replacing,
    seal,
)

WRITTEN = "file"
"""Key of the metadata that a file has of itself: its place, the names in it, its number of rows, and its seal."""
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
        also: further paths at which stages write such a file.
    """

    name: str
    path: str
    row: str
    key: Mapping[str, pa.DataType]
    columns: Mapping[str, pa.DataType]
    meanings: Mapping[str, str]
    is_of_all: bool = True
    measurement: str = ""
    also: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        return self.path, *self.also

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


def write(path: Path, table: Table, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a frame as a table, sorted by its key.

    Args:
        path: the file.
        table: the kind of table.
        frame: exactly the table's columns, in any order.
        metadata: JSON values kept in the file beside its place, its number of rows and its seal. A table of a block has
            `replicas`, the block's seeds: those in its rows, unless they are given. Equal work gives equal bytes, so
            nothing that changes between two equal runs belongs here.

    Raises:
        ValueError: columns are missing or unknown.
    """
    _check_columns(path, table, frame.columns.tolist())
    # Categories become plain strings first. A frame's order of categories and unused ones must not reach the bytes.
    frame = frame.astype(
        {column: str for column in frame.columns if isinstance(frame[column].dtype, pd.CategoricalDtype)}
    )
    if "replica" in table.key:
        metadata = {"replicas": sorted({int(seed) for seed in frame["replica"]}), **(metadata or {})}
    _write(path, table, [frame.sort_values(list(table.key), ignore_index=True)], metadata)


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

    def in_order() -> Iterator[pd.DataFrame]:
        last: tuple[Any, ...] = ()
        for part in parts:
            _check_columns(path, table, part.columns.tolist())
            first, here = (tuple(part[list(table.key)].iloc[i]) for i in (0, -1))
            if not last <= first <= here:
                raise ValueError(f"{path}: parts out of order: {first} to {here} after {last}")
            last = here
            yield part

    _write(path, table, in_order(), metadata)


def _write(path: Path, table: Table, parts: Iterable[pd.DataFrame], metadata: Mapping[str, Any] | None) -> None:
    """Write a table under its name in one step, with its place, its number of rows and its seal."""
    texts = {key: json.dumps(value, sort_keys=True) for key, value in sorted((metadata or {}).items())}
    schema, rows = table.schema.with_metadata({**texts, "general_circuits": __version__}), 0
    place, names = place_of(path, table.places)
    with replacing(path) as temporary:
        # Other tools can check the pages too: their checksums are part of Parquet.
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as file:
            for part in parts:
                file.write_table(pa.Table.from_pandas(part[schema.names], schema=schema, preserve_index=False))
                rows += len(part)
            written = {"place": place, **names, "rows": rows, "seal": UNSEALED}
            file.add_key_value_metadata({WRITTEN: json.dumps(written)})
        seal(temporary)


def read(path: Path, table: Table, replicas: Sequence[int] | None = None) -> pd.DataFrame:
    """Read a table, if its bytes are those that were written, it lies where it was written, and it is this table.

    Args:
        path: the file.
        table: the kind of table.
        replicas: seeds of the block that the table should be of; any seeds if None.

    Raises:
        UnusableFileError: the file is damaged, or is not the one that is asked for.
    """
    check(path, table, replicas)
    return pq.read_table(path, page_checksum_verification=True).to_pandas()


def check(path: Path, table: Table, replicas: Sequence[int] | None = None) -> None:
    """Check a table without reading its rows. Arguments and errors are those of `read`."""
    metadata = read_metadata(path)
    check_place(path, table.places, metadata[WRITTEN])
    about = pq.read_metadata(path)
    if about.num_rows != metadata[WRITTEN]["rows"]:
        raise UnusableFileError(path, f"has {about.num_rows:,} of {metadata[WRITTEN]['rows']:,} rows")
    types = {field.name: field.type for field in about.schema.to_arrow_schema()}
    if wrong := _unlike(table, types):
        raise UnusableFileError(path, f"is not a {table.name} table: {wrong}")
    if replicas is not None and metadata.get("replicas") != list(replicas):
        raise UnusableFileError(path, f"holds replicas {metadata.get('replicas')}, not {list(replicas)}")


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the JSON values that `write` kept in the file; `WRITTEN` has its place and number of rows.

    Raises:
        UnusableFileError: the file is damaged, or is no table of this package.
    """
    check_seal(path)
    try:
        texts = pq.read_metadata(path).metadata
        skipped = (b"general_circuits", b"ARROW:schema")
        metadata = {key.decode(): json.loads(value) for key, value in texts.items() if key not in skipped}
    except pa.ArrowInvalid:
        raise UnusableFileError(path, "is not a Parquet file") from None
    return metadata


def inherited(path: Path) -> dict[str, Any]:
    """Read the metadata that a table made from this one should have too."""
    return {key: value for key, value in read_metadata(path).items() if key != WRITTEN}


def files(table: Table, axes: Mapping[str, Sequence[Any]]) -> list[str]:
    """List a table's files in a study, relative to the study's folder: one for each combination of values in its path.

    Args:
        table: the kind of table.
        axes: the study's values in order, by their names in a path (`condition`, `block`, `claim`).
    """
    return [file for file, _ in files_and_seeds(table, axes)]


def files_and_seeds(table: Table, axes: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Sequence[int] | None]]:
    """Yield a table's files in a study, each with the seeds of its block; None where `axes` does not tell them.

    Args:
        table: the kind of table.
        axes: as for `files`; beside the numbers of blocks, `replica` has the seeds of all blocks in order.
    """
    blocks, seeds = axes.get("block", ()), axes.get("replica", ())
    size = len(seeds) // max(1, len(blocks))
    of_block = {block: seeds[i * size : (i + 1) * size] for i, block in enumerate(blocks)}
    for values in itertools.product(*(axes[name] for name in table.axes)):
        names = dict(zip(table.axes, values, strict=True))
        yield table.path.format(**names), of_block.get(names.get("block")) or None


def read_study(results: Path, table: Table, axes: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Read all of a study's files of a table into one frame, in the order of `axes`.

    Args:
        results: the study's folder, `results/{study}`.
        table: the kind of table.
        axes: as for `files_and_seeds`; columns such as `condition` get these values as their categories.

    Raises:
        UnusableFileError: a file is damaged, or is not the one that is asked for.
    """
    frames = [read(results / file, table, seeds) for file, seeds in files_and_seeds(table, axes)]
    categories = [name for name in table.axes if table.key.get(name) == CATEGORY]
    frame = pd.concat([part.astype(dict.fromkeys(categories, str)) for part in frames], ignore_index=True)
    return frame.assign(**{name: pd.Categorical(frame[name], categories=list(axes[name])) for name in categories})


def _check_columns(path: Path, table: Table, columns: Sequence[str]) -> None:
    """Refuse columns that are not exactly the table's."""
    known = {field.name: field.type for field in table.schema}
    if wrong := _unlike(table, {name: known.get(name) for name in columns}):
        raise ValueError(f"{path}: not a {table.name} table: {wrong}")


def _unlike(table: Table, types: Mapping[str, pa.DataType]) -> str:
    """Return in words how columns differ from a table's; empty text if they do not."""
    expected = {field.name: field.type for field in table.schema}
    missing, unknown = sorted(expected.keys() - types), sorted(types.keys() - expected)
    if missing or unknown:
        return f"missing columns {missing}, unknown columns {unknown}"
    wrong = {name: str(types[name]) for name in expected if types[name] != expected[name]}
    return f"columns of another type: {wrong}" if wrong else ""
