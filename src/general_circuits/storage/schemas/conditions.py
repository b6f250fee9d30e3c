"""Settings of each condition of a study, one per row. Claims read which conditions differ in which settings."""

from general_circuits.storage.tables import CATEGORY, NUMBER, TEXT, Table

TABLE = Table(
    "conditions",
    "conditions.parquet",
    row="condition and setting",
    key={"condition": CATEGORY, "setting": CATEGORY},
    columns={"value": TEXT, "number": NUMBER},
    meanings={
        "setting": (
            "name of a setting, such as optimiser.learning_rate: every setting of task, split, model, optimiser and"
            " schedule, with defaults filled in; for a branch also branch.parent and how it leaves its parent; and"
            " examples.training, the number of training examples"
        ),
        "value": "the setting's value as JSON",
        "number": "the value if it is a number, else missing",
    },
)
