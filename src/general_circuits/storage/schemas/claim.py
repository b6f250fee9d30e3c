"""The contrasts of a claim, the registered one with its verdict."""

from collections.abc import Mapping

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, TEXT, Table

FINDING_MEANINGS: Mapping[str, str] = {
    "claim": "the claim's id, as in claims/registry.py",
    "unit": "unit of estimate, low and high; empty where the claim is not testable",
    "estimate": "mean over replicas; missing without data",
    "low": "lower end of the estimate's 95 % interval (Student's t); missing below two replicas",
    "high": "upper end of the same interval",
    "replicas": "number of replicas in which the estimate is defined",
    "sentence": "the finding in words",
}
"""Meanings of columns that this table shares with `verdicts`."""

TABLE = Table(
    "claim",
    "claims/{claim}.parquet",
    row="contrast",
    key={"claim": CATEGORY, "contrast": TEXT},
    columns={
        "unit": TEXT,
        "estimate": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "p_value": NUMBER,
        "replicas": INTEGER,
        "verdict": CATEGORY,
        "sentence": TEXT,
    },
    meanings={
        **FINDING_MEANINGS,
        "contrast": (
            "“registered” for the contrast with the verdict (if a claim has several, followed by the thing each is"
            " about); or the name of another comparison beside it"
        ),
        "p_value": (
            "p-value, 0 to 1: by the claim's rule for the registered contrast, two-sided against 0 (Student's t) for"
            " the others; missing where too few replicas have data"
        ),
        "verdict": (
            "verdict on the registered contrast: supported, contradicted, undecided, or not testable in this study;"
            " empty for other contrasts"
        ),
    },
)
