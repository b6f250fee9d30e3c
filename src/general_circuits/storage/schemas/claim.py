"""The contrasts of a claim, the registered one with its verdict."""

from collections.abc import Mapping

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, TEXT, Table

FINDING: Mapping[str, str] = {
    "claim": "the claim's id, as in claims/registry.py",
    "unit": "of estimate, low and high; empty where the claim is not testable",
    "estimate": "mean over replicas; missing where there are no data",
    "low": "lower end of the estimate's 95 % interval (Student's t); missing below two replicas",
    "high": "upper end of the same interval",
    "replicas": "number of replicas that the estimate rests on, those in which it is defined",
    "sentence": "what was found, in words",
}
"""What this table's columns mean, and the same ones' in `verdicts`."""

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
        **FINDING,
        "contrast": (
            "registered, which carries the verdict (of a claim with several, each with what it is of); or what else"
            " was compared beside it"
        ),
        "p_value": (
            "0 to 1; of the registered contrast, as its rule defines it; of the others, two-sided against 0 (Student's"
            " t); missing where too few replicas have data"
        ),
        "verdict": (
            "of the registered contrast: supported, contradicted, undecided, or not testable in this study; empty in"
            " the others"
        ),
    },
)
