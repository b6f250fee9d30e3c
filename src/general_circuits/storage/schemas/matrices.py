"""Norm and effective rank of every weight."""

from general_circuits.storage.schemas.progress import FLAG_MEANINGS, FLAGS
from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "matrices",
    "progress/{condition}/{block}-matrices.parquet",
    row="replica, step and weight",
    key={**REPLICA, "step": INTEGER, "weight": CATEGORY},
    columns={**FLAGS, "norm": NUMBER, "effective_rank": NUMBER},
    meanings={
        **FLAG_MEANINGS,
        "weight": "the weight's TransformerLens name",
        "norm": "Frobenius norm",
        "effective_rank": (
            "exponential of the entropy of its singular values, each as a share of their sum (Roy & Vetterli 2007);"
            " for attention, the mean over heads; missing for vectors"
        ),
    },
    measurement="progress",
)
