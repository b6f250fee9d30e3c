"""How neurons' saliency is spread over examples."""

from general_circuits.tables import CATEGORY, FLAG, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "saliency",
    "saliency/{condition}/{block}.parquet",
    "replica, step, split, layer, method and neuron",
    {**NEURONS, "method": CATEGORY, "neuron": INTEGER},
    {
        "median": NUMBER,
        "median_magnitude": NUMBER,
        "mean_magnitude": NUMBER,
        "q95_magnitude": NUMBER,
        "breadth": NUMBER,
        "alive": FLAG,
        "completeness_error": NUMBER,
    },
    {
        "neuron": "the MLP's unit, from 0",
        "median": (
            "over the split's examples, of the signed saliency: what the neuron adds to the label's logit minus the"
            " mean logit; logits"
        ),
        "median_magnitude": "median over the split's examples of |saliency|, logits",
        "mean_magnitude": "mean over the split's examples of |saliency|, logits",
        "q95_magnitude": "95 % quantile over the split's examples of |saliency|, logits",
        "breadth": (
            "share of the n examples that carry the saliency s, (Σ|s|)² / (n·Σs²): 1/n (one of them) to 1 (all alike);"
            " 0 without saliency"
        ),
        "alive": "whether its activation is not 0 in some example of the split, at a position that reaches the answer",
        "completeness_error": (
            "mean difference between the layer's summed saliencies and what the layer changes, over the mean size of"
            " that change; 0 is complete; one value per layer; missing for activation_gradient"
        ),
    },
)
