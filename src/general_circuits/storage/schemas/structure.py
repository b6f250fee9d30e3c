"""Concentration of a network's solution, one number for each measure."""

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
        "displacement": NUMBER,
    },
    meanings={
        **FLAG_MEANINGS,
        "gini_of_logits": (
            "Gini coefficient of the frequencies' energies in the logits (table spectrum), each divided by its"
            " dimensions: 0 (all alike) to 1; missing where no group is known"
        ),
        "inverse_participation_of_logits": "Σe² / (Σe)² of these n energies e, 1/n (all alike) to 1 (one has all)",
        "key_frequencies": "smallest number of frequencies that hold 95 % of the energy at this checkpoint",
        "gini_of_embedding": (
            "Gini coefficient of the energies in the first operand's vectors, as functions of the group's element that"
            " it stands for; missing where operands stand for no elements, or are read as numbers"
        ),
        "inverse_participation_of_embedding": "Σe² / (Σe)² of the same energies",
        "tuned_share": (
            "share of the last layer's MLP units, among those that vary, whose variance one frequency of both operands"
            " explains to 85 %, 0 to 1; missing where operands stand for no elements"
        ),
        "symmetry_violation": (
            "Σ‖f(a,b) − f(b,a)‖² / 2Σ‖f‖² of the logits f, over examples with a mirror image: 0 (equal), 1 (unrelated);"
            " missing without two operands"
        ),
        "weight_norm": "Euclidean norm of all weights together",
        "displacement": "Euclidean norm of the change of all weights since the first checkpoint",
    },
    measurement="progress",
)
