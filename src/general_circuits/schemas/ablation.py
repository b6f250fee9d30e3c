"""What a network can still do with sets of neurons deleted."""

from general_circuits.tables import CATEGORY, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "ablation",
    "ablation/{condition}/{block}.parquet",
    "replica, step, split, layer, deletion, ranking, draw and k",
    {**NEURONS, "deletion": CATEGORY, "ranking": CATEGORY, "draw": INTEGER, "k": INTEGER},
    {"accuracy": NUMBER, "loss": NUMBER, "margin": NUMBER},
    {
        "deletion": "what a deleted unit is set to, at every position: zero, or its mean over training examples",
        "ranking": (
            "which units are deleted, by mean |saliency| on training examples: top (the most salient), bottom (the"
            " least), random, or matched (others whose activation norms are like the top k's)"
        ),
        "draw": "number of the random ranking, from 0; 0 in the other rankings",
        "k": "units deleted, of one layer; 0 is the whole network",
        "accuracy": (
            "share of the measured examples whose label has the largest logit, 0 to 1, ties excluded; missing where the"
            " layer has too few units for a matched set, and so are loss and margin"
        ),
        "loss": "mean cross-entropy over the measured examples, nats",
        "margin": "mean over the measured examples of the label's logit minus the largest other one, logits",
    },
)
