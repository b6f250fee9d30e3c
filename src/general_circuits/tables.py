"""The Parquet contract between stages: where each table lies, its columns, an atomic write and a checked read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from general_circuits import __version__

CATEGORY = pa.dictionary(pa.int32(), pa.string())
INTEGER, NUMBER, FLAG, TEXT = pa.int32(), pa.float64(), pa.bool_(), pa.string()


@dataclass(frozen=True)
class Table:
    """One kind of file: its path under `results/{study}/`, its key (rows are sorted by it) and its other columns."""

    path: str
    key: Mapping[str, pa.DataType]
    columns: Mapping[str, pa.DataType]

    @property
    def schema(self) -> pa.Schema:
        return pa.schema(list({**self.key, **self.columns}.items()))


_REPLICA = {"condition": CATEGORY, "replica": INTEGER}
_NEURONS = {**_REPLICA, "step": INTEGER, "split": CATEGORY, "layer": INTEGER}

TABLES = {
    "task": Table(
        "tasks/{task}.parquet",
        {"a": INTEGER, "b": INTEGER},
        {"target": INTEGER, "pair": INTEGER, "wrap": INTEGER},
    ),
    "split": Table(
        "runs/{condition}/{block}/split.parquet",
        {**_REPLICA, "example": INTEGER},
        {"split": CATEGORY, "label": INTEGER},
    ),
    "metrics": Table(
        "runs/{condition}/{block}/metrics.parquet",
        {**_REPLICA, "step": INTEGER, "split": CATEGORY},
        {
            "loss": NUMBER,
            "accuracy": NUMBER,
            "margin": NUMBER,
            "correct_probability": NUMBER,
            "gradient_norm": NUMBER,
            "weight_norm": NUMBER,
            "learning_rate": NUMBER,
            "diverged": FLAG,
        },
    ),
    "events": Table(
        "runs/{condition}/{block}/events.parquet",
        {**_REPLICA, "event": CATEGORY},
        {"step": INTEGER, "censored": FLAG},
    ),
    "saliency": Table(
        "saliency/{condition}/{block}.parquet",
        {**_NEURONS, "method": CATEGORY, "neuron": INTEGER},
        {
            "median": NUMBER,
            "median_magnitude": NUMBER,
            "mean_magnitude": NUMBER,
            "q95_magnitude": NUMBER,
            "breadth": NUMBER,
            "alive": FLAG,
            "completeness_error": NUMBER,
        },
    ),
    "distribution": Table(
        "distribution/{condition}/{block}.parquet",
        {**_NEURONS, "method": CATEGORY, "statistic": CATEGORY, "dead_units": CATEGORY},
        {
            "neurons": INTEGER,
            "median": NUMBER,
            "zero_fraction": NUMBER,
            "moment_skewness": NUMBER,
            "l_skewness": NUMBER,
            "quantile_skewness": NUMBER,
            "gini": NUMBER,
            "degenerate": FLAG,
        },
    ),
    "ablation": Table(
        "ablation/{condition}/{block}.parquet",
        {**_NEURONS, "deletion": CATEGORY, "ranking": CATEGORY, "draw": INTEGER, "k": INTEGER},
        {"accuracy": NUMBER, "loss": NUMBER, "margin": NUMBER},
    ),
    "claim": Table(
        "claims/{claim}.parquet",
        {"claim": CATEGORY, "contrast": TEXT},
        {
            "estimate": NUMBER,
            "low": NUMBER,
            "high": NUMBER,
            "p_value": NUMBER,
            "replicas": INTEGER,
            "verdict": CATEGORY,
            "sentence": TEXT,
        },
    ),
    "verdicts": Table(
        "claims/verdicts.parquet",
        {"claim": CATEGORY},
        {
            "estimate": NUMBER,
            "low": NUMBER,
            "high": NUMBER,
            "p_value": NUMBER,
            "p_adjusted": NUMBER,
            "confirmed": FLAG,
            "replicas": INTEGER,
            "verdict": CATEGORY,
            "sentence": TEXT,
        },
    ),
}


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


def write(path: Path, name: str, frame: pd.DataFrame, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a frame as the table `name`, sorted by its key.

    Args:
        path: the file; written under another name and renamed into place.
        name: one of `TABLES`.
        frame: exactly the table's columns, in any order.
        metadata: JSON values kept in the file's schema beside the package version. Nothing that changes between two
            equal runs belongs here: equal work gives equal bytes.
    """
    schema = TABLES[name].schema
    _check_columns(path, name, frame.columns.tolist())
    # Categories as plain strings first: a frame's own order and unused ones must reach neither rows nor bytes.
    frame = frame.astype(
        {column: str for column in frame.columns if isinstance(frame[column].dtype, pd.CategoricalDtype)}
    )
    frame = frame.sort_values(list(TABLES[name].key), ignore_index=True)
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    texts = {key: json.dumps(value, sort_keys=True) for key, value in sorted((metadata or {}).items())}
    table = table.replace_schema_metadata({**texts, "general_circuits": __version__})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read(path: Path, name: str) -> pd.DataFrame:
    """Read the table `name`; categories come back as strings' categories, ordered by key."""
    table = pq.read_table(path)
    _check_columns(path, name, table.column_names)
    wrong = [field.name for field in TABLES[name].schema if table.schema.field(field.name).type != field.type]
    if wrong:
        found = {column: str(table.schema.field(column).type) for column in wrong}
        raise ValueError(f"{path}: not a {name} table: columns of another type: {found}")
    return table.to_pandas()


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON values that `write` kept in the schema."""
    metadata = pq.read_schema(path).metadata
    return {key.decode(): json.loads(value) for key, value in metadata.items() if key != b"general_circuits"}


def read_study(results: Path, name: str, conditions: Sequence[str], blocks: int) -> pd.DataFrame:
    """Every block's table `name` of these conditions, below one another; `condition` keeps the given order.

    Args:
        results: the study's folder, `results/{study}`.
        name: one of `TABLES` with one file per condition and block.
        conditions: which ones.
        blocks: how many blocks each condition has.
    """
    pattern = TABLES[name].path
    frames = [
        read(results / pattern.format(condition=condition, block=block), name)
        for condition in conditions
        for block in range(blocks)
    ]
    frame = pd.concat([part.astype({"condition": str}) for part in frames], ignore_index=True)
    frame["condition"] = pd.Categorical(frame["condition"], categories=list(conditions))
    return frame


def _check_columns(path: Path, name: str, found: Sequence[str]) -> None:
    expected = TABLES[name].schema.names
    missing, unknown = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unknown:
        raise ValueError(f"{path}: not a {name} table: missing columns {missing}, unknown columns {unknown}")
