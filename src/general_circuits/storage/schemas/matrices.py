"""Norm and effective rank of every weight."""

from general_circuits.storage.schemas.progress import FLAG_WORDS, FLAGS
from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "matrices",
    "progress/{condition}/{block}-matrices.parquet",
    "replica, step and weight",
    {**REPLICA, "step": INTEGER, "weight": CATEGORY},
    {**FLAGS, "norm": NUMBER, "effective_rank": NUMBER},
    {
        **FLAG_WORDS,
        "weight": "its TransformerLens name",
        "norm": "Frobenius norm",
        "effective_rank": (
            "exponential of the entropy of its singular values, each as a share of their sum (Roy & Vetterli 2007); of"
            " attention's, the mean over heads; missing of vectors"
        ),
    },
    measurement="progress",
)
