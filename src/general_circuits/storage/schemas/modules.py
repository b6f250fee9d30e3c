"""The modules of planted duels: how well they know what they are to know."""

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
        "kind": "generaliser, memoriser, or rival_memoriser (one of all training examples, for the null control)",
        "parts": "K, how many memorisers share the training examples; of generalisers 1",
        "label_noise": "ξ, share of the training examples with a wrong label that it learnt",
        "number": "of the module among those like it, from 0",
        "neurons": "per layer",
        "examples": "that it is to know: its part of the training examples, or all of them",
        "accuracy": "on these, 0 to 1",
        "least_margin": "of these, logits",
        "validation_accuracy": "on examples that never train, 0 to 1",
        "elsewhere": (
            "largest probability that a memoriser gives any class on an example outside its part, mean over these, 0 to"
            " 1; of generalisers missing"
        ),
        "weight_norm": "of all its weights",
    },
)
