"""First-order effects of one step of gradient descent on a single training example."""

from general_circuits.storage.tables import INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "reinforcement",
    "progress/{condition}/{block}-reinforcement.parquet",
    row="replica, step and example; at some checkpoints, for some training examples",
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
        "example": "the example's number in the task table",
        "own": "change of the example's own margin, logits per unit of the rate",
        "own_restricted": "change of the restricted component's part in that margin (table progress)",
        "own_unseen": (
            "change of the unseen component's part in that margin; missing where an answer has no unseen example"
        ),
        "others": "change of the margins of all other training examples, summed",
        "others_restricted": "change of the restricted component's parts in those margins, summed",
        "others_unseen": "change of the unseen component's parts in those margins, summed",
        "helped": "share of the other training examples whose margin grows, 0 to 1",
        "validation": "change of the margins of validation examples, mean",
    },
    measurement="progress",
)
