"""The claims of the source, each with its verdict."""

from general_circuits.storage.schemas.claim import FINDING_MEANINGS
from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "verdicts",
    "claims/verdicts.parquet",
    row="claim and contrast with a verdict",
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
        **FINDING_MEANINGS,
        "contrast": "“registered”, or for a claim with several verdicts “registered, ” and the thing each is about",
        "p_value": "p-value by the claim's registered rule, 0 to 1; missing where too few replicas have data",
        "p_adjusted": "p_value adjusted by Holm over the claims that have data, 0 to 1; missing where p_value is",
        "confirmed": "whether the verdict is for or against the claim and p_adjusted is below 0.05",
        "verdict": "supported, contradicted, undecided, or not testable in this study",
    },
)
