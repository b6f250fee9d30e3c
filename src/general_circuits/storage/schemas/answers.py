"""Every example's answer at checkpoints: which are learnt when."""

from general_circuits.storage.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "answers",
    "answers/{condition}/{block}.parquet",
    row="replica, step and example, at some checkpoints",
    key={**REPLICA, "step": INTEGER, "example": INTEGER},
    columns={"margin": SINGLE, "probability": SINGLE},
    meanings={
        "example": "its number in the task table; the table split says on which side it is",
        "margin": "its label's logit minus the largest other one, logits: it is right where this is above 0",
        "probability": "given to its label, 0 to 1",
    },
    is_of_all=False,
    measurement="answers",
)
