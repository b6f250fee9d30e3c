"""The examples of a task, all of them."""

from general_circuits.storage.tables import INPUTS, INTEGER, Table

TABLE = Table(
    "task",
    "tasks/{task}.parquet",
    row="example",
    key={"example": INTEGER},
    columns={**INPUTS, "target": INTEGER, "pair": INTEGER, "wrap": INTEGER},
    meanings={
        "example": "its number, from 0, in the order of its inputs",
        "target": "the right class, from 0",
        "pair": "number of the unordered pair {a, b}: (a, b) and (b, a) share it; without operands, of the example",
        "wrap": "m where the value before reduction modulo p lies in [m·p, (m + 1)·p); missing where there is none",
    },
)
