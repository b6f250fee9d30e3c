"""Modules of planted duels, and how well they know their examples."""

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, SINGLE, Table

TABLE = Table(
    "modules",
    "duels/planted/{block}/modules.parquet",
    row="replica, group of modules and module",
    key={"replica": INTEGER, "kind": CATEGORY, "parts": INTEGER, "label_noise": NUMBER, "number": INTEGER},
    columns={
        "neurons": INTEGER,
        "examples": INTEGER,
        "accuracy": SINGLE,
        "least_margin": SINGLE,
        "validation_accuracy": SINGLE,
        "elsewhere": SINGLE,
        "weight_norm": SINGLE,
    },
    meanings={
        "replica": "the seed",
        "kind": "generaliser, memoriser, or rival_memoriser (of all training examples, for a null control)",
        "parts": "K, the number of memorisers that share the training examples; 1 for generalisers",
        "label_noise": "ξ, share of the training examples whose label was wrong when the module learnt them",
        "number": "the module's number in its group, from 0",
        "neurons": "neurons per layer",
        "examples": "number of examples that it should know: its part of the training examples, or all of them",
        "accuracy": "accuracy on these examples, 0 to 1",
        "least_margin": "smallest margin on these examples, logits",
        "validation_accuracy": "accuracy on validation examples, 0 to 1",
        "elsewhere": (
            "largest probability of any class on an example outside a memoriser's part, mean over these examples, 0 to"
            " 1; missing for generalisers"
        ),
        "weight_norm": "Euclidean norm of all its weights",
    },
)
