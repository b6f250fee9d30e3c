"""Both losses at every step, from replays; spikes are found in them."""

from general_circuits.storage.tables import INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "losses",
    "spikes/{condition}/{block}-losses.parquet",
    row="replica and step, from t_m to 1.5 t_g",
    key={**REPLICA, "step": INTEGER},
    columns={"training": NUMBER, "validation": NUMBER},
    meanings={
        "training": (
            "mean training loss over all training examples, as loss in the table metrics; it is computed in float64"
            " from the network's logits, so losses near 0 keep their digits"
        ),
        "validation": "the same over validation examples",
    },
    is_of_all=False,
    measurement="spikes",
)
