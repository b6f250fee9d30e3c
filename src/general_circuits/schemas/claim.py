"""One row per contrast of a claim, the registered one with its verdict."""

from general_circuits.tables import CATEGORY, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "claim",
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
)
