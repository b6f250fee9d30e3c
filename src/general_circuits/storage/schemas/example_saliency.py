"""Every neuron's saliency on every example; large, and made on request only."""

from general_circuits.storage.tables import ATTRIBUTION, CATEGORY, INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "example_saliency",
    "example_saliency/{condition}/{block}/step={step}/saliency.parquet",
    row="replica, split, layer, site, method, target, normalisation, example and neuron",
    key={
        **REPLICA,
        "split": CATEGORY,
        "layer": INTEGER,
        "site": CATEGORY,
        **ATTRIBUTION,
        "example": INTEGER,
        "neuron": INTEGER,
    },
    columns={"saliency": SINGLE},
    meanings={
        "example": "the example's number in the task table",
        "neuron": "the neuron's number, as in the saliency table",
        "saliency": "saliency of this neuron on this example, in the saliency table's unit; the folder has the step",
    },
    measurement="saliency",
)
