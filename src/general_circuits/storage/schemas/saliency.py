"""How neurons' saliency is spread over examples."""

from general_circuits.storage.tables import ATTRIBUTION, FLAG, INTEGER, NEURONS, SINGLE, Table

TABLE = Table(
    "saliency",
    "saliency/{condition}/{block}.parquet",
    row="replica, step, split, layer, site, method, target, normalisation and neuron",
    key={**NEURONS, **ATTRIBUTION, "neuron": INTEGER},
    columns={
        "median": SINGLE,
        "median_magnitude": SINGLE,
        "mean_magnitude": SINGLE,
        "q95_magnitude": SINGLE,
        "breadth": SINGLE,
        "alive": FLAG,
    },
    meanings={
        "neuron": "its number, from 0: the MLP's unit, the unit of the heads' outputs (head after head), or the head",
        "median": (
            "over the examples, of the signed saliency, which is what the neuron adds to the target; logits (of"
            " log_probability nats), divided by the logits' scale where matched, and a share per_example"
        ),
        "median_magnitude": "median over the examples of |saliency|, in the same unit",
        "mean_magnitude": "mean over the examples of |saliency|, in the same unit",
        "q95_magnitude": "95 % quantile over the examples of |saliency|, in the same unit",
        "breadth": (
            "share of the n examples that carry the saliency s, (Σ|s|)² / (n·Σs²): 1/n (one of them) to 1 (all alike);"
            " 0 without saliency"
        ),
        "alive": (
            "whether its activation is not 0 in some example of the split, at a position that reaches the answer; of a"
            " head, that of any of its units"
        ),
    },
    measurement="saliency",
)
