"""The examples of a block's replicas: on which side they are, and their labels after label noise."""

from general_circuits.storage.tables import CATEGORY, INPUTS, INTEGER, REPLICA, Table

TABLE = Table(
    "split",
    "runs/{condition}/{block}/split.parquet",
    row="replica and example",
    key={**REPLICA, "example": INTEGER},
    columns={**INPUTS, "wrap": INTEGER, "split": CATEGORY, "target": INTEGER, "label": INTEGER},
    meanings={
        "example": "its number in the task table",
        "wrap": "m where the value before reduction modulo p lies in [m·p, (m + 1)·p); missing where there is none",
        "split": "the side it is on: train or validation",
        "target": "the right class, from 0",
        "label": "the class it counts as, from 0: its target or, for training examples under label noise, a random one",
    },
)
