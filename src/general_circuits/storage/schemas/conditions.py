"""What each condition of a study is, one setting a row: claims find by it which conditions differ in what."""

from general_circuits.storage.tables import CATEGORY, NUMBER, TEXT, Table

TABLE = Table(
    "conditions",
    "conditions.parquet",
    row="condition and setting",
    key={"condition": CATEGORY, "setting": CATEGORY},
    columns={"value": TEXT, "number": NUMBER},
    meanings={
        "setting": (
            "as optimiser.learning_rate: of task, split, model, optimiser and schedule, nothing left open; of a branch"
            " also branch.parent and how it leaves it; and examples.training, how many train"
        ),
        "value": "what it is, as JSON",
        "number": "the same, where it is a number; else missing",
    },
)
