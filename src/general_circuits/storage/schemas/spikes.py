"""Spikes of the training loss, quiet windows beside them, and kicks of the same size, with both losses."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, REPLICA, SINGLE, Table

WINDOW = {**REPLICA, "spike": INTEGER, "kind": CATEGORY, "step": INTEGER}
WINDOW_MEANINGS = {
    "spike": "the step of the spike's largest training loss",
    "kind": (
        "spike; quiet (the nearest steps of the plateau on either side whose window, from 50 steps before to 200 after,"
        " meets no spike's); or kick (at a quiet step, one random move of the weights, as far as raises the training"
        " loss by as much as the spike)"
    ),
    "step": "the spike's step, or the step that a quiet window is around",
}
"""Meanings of the key's columns, for both tables of windows."""

TABLE = Table(
    "spikes",
    "spikes/{condition}/{block}.parquet",
    row="replica, spike, kind and step",
    key=WINDOW,
    columns={
        "is_on_plateau": FLAG,
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
        "is_on_plateau": (
            "whether the spike lies on the plateau, which begins at 2 t_m. It ends at t_g, or where validation loss"
            " has fallen by a nat from its peak. Only such spikes are looked into, if a quiet step lies beside them"
        ),
        "loss_before": (
            "training loss where the window begins: 50 steps before the first step above the threshold, or before the"
            " quiet step"
        ),
        "loss": "training loss at the step; for a kick, after it",
        "validation_before": "validation loss where the window begins",
        "validation": "validation loss at the step; for a kick, after it",
        "kick": "distance that each weight tensor was moved, as a share of its norm; missing without a kick",
        "first_observation": (
            "number, from 0, of the window's first checkpoint in the weights beside the table. Checkpoints are where"
            " the window begins, at the step, and 200 and 400 steps after; missing for spikes that were not looked into"
        ),
        "observations": "number of these checkpoints: 4, or 3 where training ended before the last",
    },
    is_of_all=False,
    measurement="spikes",
)
