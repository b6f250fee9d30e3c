"""The energy of every frequency in what of the logits depends on nothing but the right answer."""

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
            "from 1: the k of cos(2πkj / n) where the group of answers is cyclic, and its logarithms in multiplication;"
            " else the number of an irreducible representation, by dimension"
        ),
        "dimensions": (
            "of the functions in it: 2 of most frequencies; of a group that does not commute, of all that a"
            " representation makes"
        ),
        "energy": "mean square of its part of the mean logits by right answer, over answers and classes",
        "is_key": "whether it is among the fewest that hold 95 % of the energy at the replica's last checkpoint",
    },
    measurement="progress",
)
