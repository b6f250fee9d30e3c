"""The examples of a block's replicas: on which side they are, and their labels after label noise."""

from general_circuits.tables import CATEGORY, INTEGER, REPLICA, Table

TABLE = Table(
    "split",
    "runs/{condition}/{block}/split.parquet",
    "replica and example",
    {**REPLICA, "example": INTEGER},
    {"a": INTEGER, "b": INTEGER, "split": CATEGORY, "label": INTEGER},
    {
        "example": "row of the task table, from 0",
        "a": "its first operand",
        "b": "its second operand",
        "split": "the side it is on: train or validation",
        "label": "the class it counts as, from 0: its target or, for training examples under label noise, a random one",
    },
)
