"""What came of the general circuit, and of examples, around spikes, in quiet windows and after kicks."""

from general_circuits.storage.schemas.spikes import WINDOW, WINDOW_MEANINGS
from general_circuits.storage.tables import INTEGER, SINGLE, Table

TABLE = Table(
    "spike_effects",
    "spikes/{condition}/{block}-effects.parquet",
    row="replica, spike, kind and step, of spikes that were looked into",
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
            "where the window begins, of the mean training margin the share that unseen examples show (component unseen"
            " of progress); missing where an answer has no such example"
        ),
        "general_after": "the same, 200 steps after the step",
        "general_later": "the same, 400 steps after it; missing where training has ended",
        "shared": (
            "training examples that both kinds of circuit serve where the window begins: right, with between a fifth"
            " and four fifths of their margin general"
        ),
        "rise_shared": "mean rise of their cross-entropy from there to the step, nats",
        "rise_others": "the same, of all other training examples",
        "fall_shared": "mean fall of their margin, logits",
        "fall_others": "the same, of all others",
    },
    is_of_all=False,
    measurement="spikes",
)
