"""The examples of a block's replicas, with their sides of the split and their labels after label noise."""

from general_circuits.storage.tables import CATEGORY, INPUTS, INTEGER, REPLICA, Table

TABLE = Table(
    "split",
    "runs/{condition}/{block}/split.parquet",
    row="replica and example",
    key={**REPLICA, "example": INTEGER},
    columns={**INPUTS, "wrap": INTEGER, "split": CATEGORY, "target": INTEGER, "label": INTEGER},
    meanings={
        "example": "the example's number in the task table",
        "wrap": "m, if the value before reduction modulo p lies in [m·p, (m + 1)·p); missing without such a value",
        "split": "the example's side: train or validation",
        "target": "the right class, from 0",
        "label": "the class it counts as, from 0: its target, or a random class for training examples with label noise",
    },
    also=("duels/{condition}/{block}/split.parquet",),
)
