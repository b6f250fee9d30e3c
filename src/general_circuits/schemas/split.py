"""One row per replica and example: on which side it is, and its label after label noise."""

from general_circuits.tables import CATEGORY, INTEGER, REPLICA, Table

TABLE = Table(
    "split",
    "runs/{condition}/{block}/split.parquet",
    {**REPLICA, "example": INTEGER},
    {"split": CATEGORY, "label": INTEGER},
)
