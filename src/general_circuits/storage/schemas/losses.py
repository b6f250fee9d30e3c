"""A dense record of both losses, from replays: what spikes are found in."""

from general_circuits.storage.tables import INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "losses",
    "spikes/{condition}/{block}-losses.parquet",
    row="replica and step, each from t_m on",
    key={**REPLICA, "step": INTEGER},
    columns={"training": NUMBER, "validation": NUMBER},
    meanings={
        "training": "mean over all training examples of what the condition trains on, as the loss of metrics",
        "validation": "the same, over validation examples",
    },
    is_of_all=False,
    measurement="spikes",
)
