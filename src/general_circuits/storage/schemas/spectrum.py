"""Energy of every frequency in the part of the logits that depends on the right answer alone."""

from general_circuits.storage.schemas.progress import FLAG_MEANINGS, FLAGS
from general_circuits.storage.tables import FLAG, INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "spectrum",
    "progress/{condition}/{block}-spectrum.parquet",
    row="replica, step and frequency; none where no group is known",
    key={**REPLICA, "step": INTEGER, "frequency": INTEGER},
    columns={**FLAGS, "dimensions": INTEGER, "energy": NUMBER, "is_key": FLAG},
    meanings={
        **FLAG_MEANINGS,
        "frequency": (
            "from 1. For a cyclic group of answers, the k of cos(2πkj / n), where j is the answer, or its logarithm in"
            " multiplication. For other groups, the number of an irreducible representation, by dimension"
        ),
        "dimensions": (
            "dimensions of the space of its functions: 2 for most frequencies; for a group that does not commute, those"
            " of all functions that the representation makes"
        ),
        "energy": "mean square, over answers and classes, of its part of the mean logits by right answer",
        "is_key": (
            "whether it is a key frequency. Key frequencies are the fewest with 95 % of the energy at the last"
            " checkpoint or, in a branch, at its first"
        ),
    },
    measurement="progress",
)
