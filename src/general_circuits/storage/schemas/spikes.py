"""Spikes of the training loss, quiet windows beside them, and kicks as large: when, and both losses."""

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, REPLICA, SINGLE, Table

WINDOW = {**REPLICA, "spike": INTEGER, "kind": CATEGORY, "step": INTEGER}
WINDOW_MEANINGS = {
    "spike": "the step of the spike's largest training loss",
    "kind": (
        "spike; quiet (the nearest steps on either side whose window, from 50 before to 200 after, meets no spike's);"
        " or kick (there, once, weights moved in a random direction until the training loss had risen as much as in"
        " the spike)"
    ),
    "step": "the spike's, or the one that a quiet window is around",
}
"""Of both tables of windows."""

TABLE = Table(
    "spikes",
    "spikes/{condition}/{block}.parquet",
    row="replica, spike, kind and step",
    key=WINDOW,
    columns={
        "loss_before": NUMBER,
        "loss": NUMBER,
        "validation_before": NUMBER,
        "validation": NUMBER,
        "kick": SINGLE,
        "first_observation": INTEGER,
        "observations": INTEGER,
    },
    meanings={
        **WINDOW_MEANINGS,
        "loss_before": (
            "training loss where the window begins: 50 steps before the first that is above the threshold, or before"
            " the quiet step"
        ),
        "loss": "training loss at the step; of a kick, after it",
        "validation_before": "validation loss where the window begins",
        "validation": "validation loss at the step; of a kick, after it",
        "kick": "share of each weight tensor's norm that it was moved by; missing without a kick",
        "first_observation": (
            "number, from 0, of its first checkpoint in the weights beside the table: where the window begins, at the"
            " step, 200 and 400 steps after; missing of spikes that were not looked into"
        ),
        "observations": "how many there are: 3 where training ended before the last",
    },
    is_of_all=False,
    measurement="spikes",
)
