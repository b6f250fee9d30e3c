"""Where the gradient of training comes from: examples that are known for sure, or less so."""

from general_circuits.storage.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "deciles",
    "answers/{condition}/{block}-deciles.parquet",
    row="replica, step and tenth of the training examples, at some checkpoints",
    key={**REPLICA, "step": INTEGER, "decile": INTEGER},
    columns={
        "examples": INTEGER,
        "probability": SINGLE,
        "gradient_norm": SINGLE,
        "gradient_share": SINGLE,
        "validation_fall": SINGLE,
    },
    meanings={
        "decile": "1: the tenth whose labels have the smallest probability, to 10: the tenth that is surest",
        "examples": "how many training examples these are",
        "probability": "mean over them of the probability given to the label, 0 to 1",
        "gradient_norm": (
            "Euclidean norm, in all weights, of their part of the gradient of mean training cross-entropy: parts add"
            " up to it"
        ),
        "gradient_share": "that part along the whole gradient, over the whole's norm: shares add up to 1",
        "validation_fall": (
            "fall of mean validation cross-entropy when weights move against that part, per unit of rate, to first"
            " order"
        ),
    },
    is_of_all=False,
    measurement="answers",
)
