"""One row per replica, step and split, from logits in float64.

`margin` is the mean over examples, `correct_probability` the median. `gradient_norm` is that of the batch of the last
update (NaN before the first), `weight_norm` that of all weights; both stand in either split's row. `diverged` rows come
after a loss or weight that is not finite.
"""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "metrics",
    "runs/{condition}/{block}/metrics.parquet",
    {**REPLICA, "step": INTEGER, "split": CATEGORY},
    {
        "loss": NUMBER,
        "accuracy": NUMBER,
        "margin": NUMBER,
        "correct_probability": NUMBER,
        "gradient_norm": NUMBER,
        "weight_norm": NUMBER,
        "learning_rate": NUMBER,
        "diverged": FLAG,
    },
)
