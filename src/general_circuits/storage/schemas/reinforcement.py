"""What one step of gradient descent on a single training example does, to first order."""

from general_circuits.storage.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "reinforcement",
    "progress/{condition}/{block}-reinforcement.parquet",
    row="replica, step and example; at some checkpoints, of some training examples",
    key={**REPLICA, "step": INTEGER, "example": INTEGER},
    columns={
        "own": SINGLE,
        "own_restricted": SINGLE,
        "own_unseen": SINGLE,
        "others": SINGLE,
        "others_restricted": SINGLE,
        "others_unseen": SINGLE,
        "helped": SINGLE,
        "validation": SINGLE,
    },
    meanings={
        "example": "its number in the task table",
        "own": "change of the example's own margin, per unit of the rate, logits",
        "own_restricted": "of that, the part of the restricted component (table progress)",
        "own_unseen": (
            "of the part that the unseen component has in that margin; missing where an answer has no unseen example"
        ),
        "others": "the same change, summed over the other training examples",
        "others_restricted": "of that, the part of the restricted component",
        "others_unseen": "of the parts that the unseen component has in those margins",
        "helped": "share of them whose margin grows, 0 to 1",
        "validation": "the same change, mean over validation examples",
    },
    measurement="progress",
)
