"""Every example's answer at checkpoints, which shows when it is learnt."""

from general_circuits.storage.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "answers",
    "answers/{condition}/{block}.parquet",
    row="replica, step and example, at some checkpoints",
    key={**REPLICA, "step": INTEGER, "example": INTEGER},
    columns={"margin": SINGLE, "probability": SINGLE},
    meanings={
        "example": "the example's number in the task table; the split table has its side",
        "margin": "the label's logit minus the largest other one, logits; the answer is right above 0",
        "probability": "probability of the label, 0 to 1",
    },
    is_of_all=False,
    measurement="answers",
)
