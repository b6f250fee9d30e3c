"""One row per set of deleted neurons: what the network can still do."""

from general_circuits.tables import CATEGORY, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "ablation",
    "ablation/{condition}/{block}.parquet",
    {**NEURONS, "deletion": CATEGORY, "ranking": CATEGORY, "draw": INTEGER, "k": INTEGER},
    {"accuracy": NUMBER, "loss": NUMBER, "margin": NUMBER},
)
