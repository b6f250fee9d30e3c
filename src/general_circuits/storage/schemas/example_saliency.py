"""Every neuron's saliency on every example, on request: large."""

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
        "example": "its number in the task table",
        "neuron": "its number, as in the saliency table",
        "saliency": "of this neuron on this example, in the unit of the saliency table; the step is the folder's",
    },
    measurement="saliency",
)
