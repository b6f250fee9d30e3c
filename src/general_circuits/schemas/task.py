"""One row per example of a task."""

from general_circuits.tables import INTEGER, Table

TABLE = Table(
    "task",
    "tasks/{task}.parquet",
    {"a": INTEGER, "b": INTEGER},
    {"target": INTEGER, "pair": INTEGER, "wrap": INTEGER},
)
