"""A claim's registered number again under every other choice that could have been made: its multiverse of analyses."""

from general_circuits.storage.schemas.claim import FINDING
from general_circuits.storage.tables import ATTRIBUTION, CATEGORY, FLAG, INTEGER, NUMBER, TEXT, Table

TABLE = Table(
    "specification",
    "specifications/{claim}.parquet",
    row="specification, one combination of choices; none where the claim is not testable",
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
        "threshold": NUMBER,
        "estimate": NUMBER,
        "low": NUMBER,
        "high": NUMBER,
        "p_value": NUMBER,
        "replicas": INTEGER,
        "failure": TEXT,
    },
    meanings={
        "claim": FINDING["claim"],
        "method": "how saliency is computed: docs/saliency.md has the list; none where the choice does not apply",
        "target": "what saliency explains, as in the saliency table; none where the choice does not apply",
        "normalisation": "as in the saliency table; none where the choice does not apply",
        "statistic": "what is computed of a unit's saliency over examples, and of those over units; none if no choice",
        "layer": "of which layer and site: “last mlp”, “last head_outputs”, or a layer's number, as “0 mlp”",
        "split": "on which examples: train, validation; after label noise also train_corrupted and train_true",
        "dead_units": "whether units that are not alive are included or excluded; none where the choice does not apply",
        "deletion": "what a deleted unit is set to: zero, mean or resample; none where the choice does not apply",
        "control": "what the change is compared with: random_labels, random_units, or none: the change itself",
        "registered": (
            "whether these are the registered choices; one per claim. The verdict of topk_damage also rests on the"
            " change itself, the same choices without a control"
        ),
        "unit": "of estimate, low, high and threshold",
        "threshold": (
            "above it, or below minus it, must the whole interval lie to count for, or against, the claim; 0 or more"
        ),
        "estimate": "mean over replicas; missing where there is none",
        "low": FINDING["low"],
        "high": FINDING["high"],
        "p_value": "two-sided, against 0 (Student's t), 0 to 1, not adjusted; missing below two replicas",
        "replicas": FINDING["replicas"],
        "failure": "why there is no estimate, in words; empty where there is one",
    },
)
