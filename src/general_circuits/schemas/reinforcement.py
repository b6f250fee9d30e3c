"""What one step of gradient descent on a single training example does, to first order."""

from general_circuits.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "reinforcement",
    "progress/{condition}/{block}-reinforcement.parquet",
    "replica, step and example; at some checkpoints, of some training examples",
    {**REPLICA, "step": INTEGER, "example": INTEGER},
    {
        "own": SINGLE,
        "own_general": SINGLE,
        "others": SINGLE,
        "others_general": SINGLE,
        "helped": SINGLE,
        "validation": SINGLE,
    },
    {
        "example": "its number in the task table",
        "own": "change of the example's own margin, per unit of the rate, logits",
        "own_general": "of that, the part of the restricted component (table progress)",
        "others": "the same change, summed over the other training examples",
        "others_general": "of that, the part of the restricted component",
        "helped": "share of them whose margin grows, 0 to 1",
        "validation": "the same change, mean over validation examples",
    },
)
