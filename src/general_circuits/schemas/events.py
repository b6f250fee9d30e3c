"""One row per replica and event."""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, REPLICA, Table

TABLE = Table(
    "events",
    "runs/{condition}/{block}/events.parquet",
    {**REPLICA, "event": CATEGORY},
    {"step": INTEGER, "censored": FLAG},
)
