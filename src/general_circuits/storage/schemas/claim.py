"""The contrasts of a claim; the primary ones have a verdict."""

from collections.abc import Mapping

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, NUMBERS, TEXT, Table

FINDING_MEANINGS: Mapping[str, str] = {
    "claim": "the claim's id, as in claims/registry.py",
    "unit": "unit of estimate, low, high and the thresholds; empty where the claim is not testable",
    "estimate": "mean over replicas; missing without data",
    "low": (
        "lower end of the estimate's interval (Student's t); missing below two replicas. The interval of a primary"
        " contrast has the level of the study's look: 98.2 % with 5 replicas, 98.6 % with 8, 98.4 % with 12, 97.7 %"
        " with 20. Any other interval has 95 %"
    ),
    "high": "upper end of the same interval",
    "supported_beyond": "threshold of a primary contrast beyond which the claim is supported; missing for others",
    "contradicted_beyond": "threshold beyond which it is contradicted; missing for others",
    "replicas": "number of replicas in which the estimate is defined",
    "replicas_needed": (
        "where a verdict is undecided: number of replicas that would decide it with a probability of 80 %, if mean and"
        " spread stayed; 0 where decided or unknown"
    ),
    "is_lacking": "whether it is not testable because the study lacks a condition or a measurement",
    "sentence": "the finding in words",
}
"""Meanings of columns that this table shares with `verdicts`."""
VERDICT_MEANING = "supported, contradicted, between (both thresholds), undecided, not testable or not measured"

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
        "supported_beyond": NUMBER,
        "contradicted_beyond": NUMBER,
        "p_supported": NUMBER,
        "p_contradicted": NUMBER,
        "p_value": NUMBER,
        "replicas": INTEGER,
        "replicas_needed": INTEGER,
        "values": NUMBERS,
        "verdict": CATEGORY,
        "reason": TEXT,
        "is_lacking": FLAG,
        "sentence": TEXT,
    },
    meanings={
        **FINDING_MEANINGS,
        "contrast": (
            "“registered” for the primary contrast, which carries the verdict (if a claim has several parts, followed"
            " by the part); or the name of another comparison beside it"
        ),
        "p_supported": (
            "one-sided p-value (Student's t) against a mean at the threshold of support or short of it; missing for"
            " contrasts without a verdict"
        ),
        "p_contradicted": "the same for the threshold of contradiction",
        "p_value": "two-sided p-value against 0 (Student's t) of a contrast without a verdict; missing for others",
        "values": (
            "value of each replica, in the order of their numbers; missing where a replica has none. Empty where the"
            " estimate is no mean over replicas"
        ),
        "verdict": f"verdict on a primary contrast: {VERDICT_MEANING}; empty for other contrasts",
        "reason": "why a primary contrast is not testable; empty otherwise",
    },
)
