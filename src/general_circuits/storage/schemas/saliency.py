"""Statistics over examples of every neuron's saliency."""

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
        "neuron": "the neuron's number, from 0: a unit of the MLP or the heads' outputs (head after head), or a head",
        "median": (
            "median over the examples of the signed saliency, the neuron's share in the target. The unit is logits"
            " (nats for log_probability), divided by the logits' scale if matched; a share if per_example"
        ),
        "median_magnitude": "median over the examples of |saliency|, in the same unit",
        "mean_magnitude": "mean over the examples of |saliency|, in the same unit",
        "q95_magnitude": "95 % quantile over the examples of |saliency|, in the same unit",
        "breadth": (
            "share of the n examples that carry the saliency s, (Σ|s|)² / (n·Σs²): 1/n (one example) to 1 (all alike);"
            " 0 without saliency"
        ),
        "alive": (
            "whether its activation is not 0 on some example of the split, at a position that reaches the answer; a"
            " head is alive if any of its units is"
        ),
    },
    measurement="saliency",
    also=("specifications/saliency/{condition}/{block}.parquet",),
)
