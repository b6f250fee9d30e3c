"""The examples of a block's replicas: on which side they are, and their labels after label noise."""

from general_circuits.tables import CATEGORY, INPUTS, INTEGER, REPLICA, Table

TABLE = Table(
    "split",
    "runs/{condition}/{block}/split.parquet",
    "replica and example",
    {**REPLICA, "example": INTEGER},
    {**INPUTS, "split": CATEGORY, "target": INTEGER, "label": INTEGER},
    {
        "example": "its number in the task table",
        "split": "the side it is on: train or validation",
        "target": "the right class, from 0",
        "label": "the class it counts as, from 0: its target or, for training examples under label noise, a random one",
    },
)
