"""Parts of the training gradient by how sure the network is of each example."""

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
        "decile": "1 (the tenth of the examples whose labels have the smallest probability) to 10 (the largest)",
        "examples": "number of training examples in the tenth",
        "probability": "probability of the label, mean over these examples, 0 to 1",
        "gradient_norm": (
            "Euclidean norm, over all weights, of these examples' part of the gradient of mean training cross-entropy;"
            " the ten parts add up to the gradient"
        ),
        "gradient_share": "share of that part in the gradient, measured along the gradient; the ten shares add up to 1",
        "validation_fall": (
            "fall of mean validation cross-entropy when weights move against that part, to first order; nats per unit"
            " of the rate"
        ),
    },
    is_of_all=False,
    measurement="answers",
)
