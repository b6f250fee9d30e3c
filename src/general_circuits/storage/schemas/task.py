"""All examples of a task."""

from general_circuits.storage.tables import INPUTS, INTEGER, Table

TABLE = Table(
    "task",
    "tasks/{task}.parquet",
    row="example",
    key={"example": INTEGER},
    columns={**INPUTS, "target": INTEGER, "pair": INTEGER, "wrap": INTEGER},
    meanings={
        "example": "the example's number, from 0, in the order of inputs",
        "target": "the right class, from 0",
        "pair": "number of the unordered pair {a, b}, shared by (a, b) and (b, a); without operands, the example's",
        "wrap": "m, if the value before reduction modulo p lies in [m·p, (m + 1)·p); missing without such a value",
    },
)
