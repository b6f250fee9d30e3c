"""Damage by deletion, in one number for each curve of the table `ablation`."""

from general_circuits.storage.schemas.ablation import KEY, MEANINGS
from general_circuits.storage.tables import INTEGER, NUMBER, Table

TABLE = Table(
    "damage",
    "damage/{condition}/{block}.parquet",
    row="replica, step, split, layer, site, dead_units, deletion, ranking, by and draw",
    key=KEY,
    columns={
        "neurons": INTEGER,
        "area": NUMBER,
        "margin_area": NUMBER,
        "matched_margin_area": NUMBER,
        "half_k": NUMBER,
    },
    meanings={
        **MEANINGS,
        "neurons": "number of ranked neurons",
        "area": (
            "mean accuracy lost over every k from 1 to a quarter of the ranked neurons, −1 to 1. Where the logits are"
            " linear in the neurons every k is measured; elsewhere, and for matched sets, straight lines connect the k"
            " of the table ablation. Missing where there are too few neurons for a matched set"
        ),
        "margin_area": "the same for the margin, logits",
        "matched_margin_area": "the same for the margin divided by the checkpoint's logit scale; no unit",
        "half_k": (
            "k at which accuracy has fallen to half of the whole network's, linear between measured k; missing if it"
            " never falls so far"
        ),
    },
    measurement="ablation",
    also=("specifications/damage/{condition}/{block}.parquet",),
)
