"""A claim's estimate under every choice of analysis that could have been made: its specification curve."""

from general_circuits.storage.schemas.claim import FINDING_MEANINGS
from general_circuits.storage.tables import ATTRIBUTION, CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "specification",
    "specifications/{claim}.parquet",
    row="specification (one combination of choices); none where the claim is not testable",
    key={
        "claim": CATEGORY,
        **ATTRIBUTION,
        "statistic": CATEGORY,
        "layer": CATEGORY,
        "split": CATEGORY,
        "dead_units": CATEGORY,
        "deletion": CATEGORY,
        "control": CATEGORY,
    },
    columns={
        "registered": FLAG,
        "unit": TEXT,
        "supported_beyond": NUMBER,
        "contradicted_beyond": NUMBER,
        "estimate": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "p_value": NUMBER,
        "replicas": INTEGER,
        "failure": TEXT,
    },
    meanings={
        "claim": FINDING_MEANINGS["claim"],
        "method": "attribution method, listed in docs/saliency.md; none where the choice does not apply",
        "target": "number that saliency explains, as in the saliency table; none where the choice does not apply",
        "normalisation": "as in the saliency table; none where the choice does not apply",
        "statistic": "statistic of saliency over examples, and over units; none where the choice does not apply",
        "layer": "layer and site: “last mlp”, “last head_outputs”, or with the layer's number, such as “0 mlp”",
        "split": "measured examples: train or validation; after label noise also train_corrupted and train_true",
        "dead_units": "whether dead units are included or excluded; none where the choice does not apply",
        "deletion": "value of a deleted unit: zero, mean or resample; none where the choice does not apply",
        "control": "comparison that is subtracted: random_labels, random_units, or none (the change itself)",
        "registered": (
            "whether these are the registered choices, which one row per claim has. saliency_skew is also judged beyond"
            " other random labels, and topk_damage without a control"
        ),
        "unit": "unit of estimate, low, high and the thresholds",
        "supported_beyond": "the claim's threshold of support; an interval counts for the claim if all of it is above",
        "contradicted_beyond": "its threshold of contradiction; an interval counts against it if all of it is below",
        "estimate": "mean over replicas; missing where there is none",
        "low": "lower end of its 95 % interval over replicas (Student's t); missing below two replicas",
        "high": "upper end of the same interval",
        "p_value": "two-sided p-value against 0 (Student's t), 0 to 1, not adjusted; missing below two replicas",
        "replicas": FINDING_MEANINGS["replicas"],
        "failure": "reason why there is no estimate, in words; empty where there is one",
    },
)
