"""One row per claim of the source."""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "verdicts",
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
)
