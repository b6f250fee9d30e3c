"""The examples of a task, all of them."""

from general_circuits.tables import INTEGER, Table

TABLE = Table(
    "task",
    "tasks/{task}.parquet",
    "example",
    {"a": INTEGER, "b": INTEGER},
    {"target": INTEGER, "pair": INTEGER, "wrap": INTEGER},
    {
        "a": "first operand, 0 to p − 1, p being the modulus",
        "b": "second operand, 0 to p − 1; for x/y from 1",
        "target": "the right class, 0 to p − 1",
        "pair": "number of the unordered pair {a, b}: (a, b) and (b, a) share it",
        "wrap": "m where the value before reduction lies in [m·p, (m + 1)·p); missing for x/y, which has none",
    },
)
