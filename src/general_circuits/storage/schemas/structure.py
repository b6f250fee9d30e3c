"""How concentrated a network's solution is, in one number each."""

from general_circuits.storage.schemas.progress import FLAG_MEANINGS, FLAGS
from general_circuits.storage.tables import INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "structure",
    "progress/{condition}/{block}-structure.parquet",
    row="replica and step",
    key={**REPLICA, "step": INTEGER},
    columns={
        **FLAGS,
        "gini_of_logits": NUMBER,
        "inverse_participation_of_logits": NUMBER,
        "key_frequencies": NUMBER,
        "gini_of_embedding": NUMBER,
        "inverse_participation_of_embedding": NUMBER,
        "tuned_share": NUMBER,
        "symmetry_violation": NUMBER,
        "weight_norm": NUMBER,
    },
    meanings={
        **FLAG_MEANINGS,
        "gini_of_logits": (
            "Gini coefficient of the frequencies' energies in the logits (table spectrum), each over its dimensions: 0"
            " (all alike) to 1; missing where no group is known"
        ),
        "inverse_participation_of_logits": "Σe² / (Σe)² of these energies: 1/n (all alike) to 1 (one has everything)",
        "key_frequencies": "the fewest frequencies that hold 95 % of their energy, at this checkpoint",
        "gini_of_embedding": (
            "of the energies in the first operand's vectors, as functions of the element it stands for; missing where"
            " operands stand for none, or are read as numbers"
        ),
        "inverse_participation_of_embedding": "of the same energies",
        "tuned_share": (
            "of the last layer's MLP units that vary, the share of which one frequency of both operands explains 85 %"
            " of the variance, 0 to 1; missing where operands stand for no elements"
        ),
        "symmetry_violation": (
            "Σ‖f(a,b) − f(b,a)‖² / 2Σ‖f‖² of the logits f over examples with a mirror image: 0 (equal), 1 (unrelated);"
            " missing without two operands"
        ),
        "weight_norm": "of all weights together",
    },
    measurement="progress",
)
