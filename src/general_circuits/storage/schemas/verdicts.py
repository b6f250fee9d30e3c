"""The claims of the source, each with its verdicts."""

from general_circuits.storage.schemas.claim import FINDING_MEANINGS, VERDICT_MEANING
from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "verdicts",
    "claims/verdicts.parquet",
    row="claim and primary contrast",
    key={"claim": CATEGORY, "contrast": TEXT},
    columns={
        "unit": TEXT,
        "estimate": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "supported_beyond": NUMBER,
        "contradicted_beyond": NUMBER,
        "p_adjusted": NUMBER,
        "replicas": INTEGER,
        "replicas_needed": INTEGER,
        "verdict": CATEGORY,
        "reason": TEXT,
        "is_lacking": FLAG,
        "sentence": TEXT,
    },
    meanings={
        **FINDING_MEANINGS,
        "contrast": "“registered”, or for a claim of several parts “registered, ” and the part",
        "p_adjusted": (
            "twice the smaller of p_supported and p_contradicted of the table claim, adjusted by Benjamini and Hochberg"
            " over the primary contrasts that have data, 0 to 1; missing without data"
        ),
        "verdict": VERDICT_MEANING,
        "reason": "why it is not testable; empty otherwise",
    },
)
