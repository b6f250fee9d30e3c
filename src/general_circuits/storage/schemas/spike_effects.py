"""Changes of the general circuit and of examples around spikes, in quiet windows and after kicks."""

from general_circuits.storage.schemas.spikes import WINDOW, WINDOW_MEANINGS
from general_circuits.storage.tables import INTEGER, SINGLE, Table

TABLE = Table(
    "spike_effects",
    "spikes/{condition}/{block}-effects.parquet",
    row="replica, spike, kind and step, for spikes on the plateau that were looked into",
    key=WINDOW,
    columns={
        "general_before": SINGLE,
        "general_after": SINGLE,
        "general_later": SINGLE,
        "shared": INTEGER,
        "rise_shared": SINGLE,
        "rise_others": SINGLE,
        "fall_shared": SINGLE,
        "fall_others": SINGLE,
    },
    meanings={
        **WINDOW_MEANINGS,
        "general_before": (
            "general share where the window begins: the part of the component unseen (table progress) in the mean"
            " training margin, over that margin; missing where an answer has no unseen example"
        ),
        "general_after": "the general share 200 steps after the step",
        "general_later": "the general share 400 steps after the step; missing where training has ended",
        "shared": (
            "number of training examples that both kinds of circuit serve where the window begins; the answer is right,"
            " and between a fifth and four fifths of its margin are general"
        ),
        "rise_shared": "mean rise of these examples' cross-entropy from the window's beginning to the step, nats",
        "rise_others": "the same rise for all other training examples",
        "fall_shared": "mean fall of the shared examples' margin over the same steps, logits",
        "fall_others": "the same fall for all other training examples",
    },
    is_of_all=False,
    measurement="spikes",
)
