"""The claims of the source, each with its verdict."""

from general_circuits.storage.schemas.claim import FINDING
from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "verdicts",
    "claims/verdicts.parquet",
    row="claim, or thing that it is judged for apart",
    key={"claim": CATEGORY, "contrast": TEXT},
    columns={
        "unit": TEXT,
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
    meanings={
        **FINDING,
        "contrast": "registered; or, of a claim with several verdicts, “registered, ” and what each is of",
        "p_value": "of the claim's registered rule, 0 to 1; missing where too few replicas have data",
        "p_adjusted": "p_value adjusted by Holm over the claims that have data, 0 to 1; missing with it",
        "confirmed": "whether a verdict for or against also has p_adjusted below 0.05",
        "verdict": "supported, contradicted, undecided, or not testable in this study",
    },
)
