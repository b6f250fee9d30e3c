"""One row per replica, step and split. `correct_probability` is the median over examples, `margin` the mean."""

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
