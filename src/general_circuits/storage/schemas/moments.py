"""Steps at which claims read a replica's weights, with its accuracies there."""

from general_circuits.analysis.moments import AROUND_ONSET, MOMENTS
from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, REPLICA, Table

WORDS = "; ".join(f"{name} ({meaning})" for name, meaning in MOMENTS.items())

TABLE = Table(
    "moments",
    "moments/{condition}/{block}.parquet",
    row="replica, moment and step",
    key={**REPLICA, "moment": CATEGORY, "step": INTEGER},
    columns={"is_cut": FLAG, "train_accuracy": NUMBER, "validation_accuracy": NUMBER},
    meanings={
        "moment": (
            f"{WORDS}; or {AROUND_ONSET} (one of the evenly spaced steps around the replica's own t_o). A partner is"
            " grokking's replica of the same number. A moment that did not happen has no row"
        ),
        "step": "its step, at which the replica's weights were made by a replay; never an interpolation",
        "is_cut": "whether training ended before the moment; its step is then the last one",
        "train_accuracy": "accuracy on training examples at the step, 0 to 1: the accuracy with no neuron deleted",
        "validation_accuracy": "the same on validation examples",
    },
    measurement="saliency",
)
