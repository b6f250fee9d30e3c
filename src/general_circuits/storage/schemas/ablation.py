"""What a network can still do with sets of neurons deleted."""

from general_circuits.storage.tables import ATTRIBUTION, CATEGORY, INTEGER, NEURONS, NUMBER, Table

KEY = {
    **NEURONS,
    "dead_units": CATEGORY,
    "deletion": CATEGORY,
    "ranking": CATEGORY,
    "by": CATEGORY,
    **ATTRIBUTION,
    "draw": INTEGER,
}
"""Which neurons are deleted, how, and on which examples: a curve over their number."""

MEANINGS = {
    "split": (
        "on which examples: train or validation; after label noise also train_corrupted and train_true, the training"
        " examples whose labels are wrong and right"
    ),
    "deletion": (
        "what a deleted unit is set to, at every position: zero; mean, over training examples; or resample, what it is"
        " in another training example, one for each example, the same at every step"
    ),
    "ranking": (
        "which neurons are deleted: top (the largest first), bottom (the smallest first), random, or matched (others"
        " whose activation norms are like the top k's)"
    ),
    "by": (
        "the largest what: a statistic over training examples of saliency (mean_magnitude, median_magnitude,"
        " q95_magnitude, breadth; median, by its size), activation_norm (root of the summed squared activations on"
        " training examples), weight_norm (of the weights in times of those out); none where they are drawn. Method,"
        " target and normalisation are none where neurons are not ranked by saliency"
    ),
    "draw": "number of the random ranking, from 0; 0 in the other rankings",
}
"""What these columns are."""

TABLE = Table(
    "ablation",
    "ablation/{condition}/{block}.parquet",
    row="replica, step, split, layer, site, dead_units, deletion, ranking, what it is by, draw and k",
    key={**KEY, "k": INTEGER},
    columns={"accuracy": NUMBER, "loss": NUMBER, "margin": NUMBER, "matched_loss": NUMBER, "matched_margin": NUMBER},
    meanings={
        **MEANINGS,
        "k": "neurons deleted, of one site of one layer; 0 is the whole network",
        "accuracy": (
            "share of the measured examples whose label has the largest logit, 0 to 1, ties excluded; missing where the"
            " layer has too few neurons for a matched set, and so are the others"
        ),
        "loss": "mean cross-entropy over the measured examples, nats",
        "margin": "mean over the measured examples of the label's logit minus the largest other one, logits",
        "matched_loss": (
            "mean cross-entropy of logits divided by the checkpoint's scale: the root mean square, over training"
            " examples and classes, of the whole network's logits minus their mean over classes; nats"
        ),
        "matched_margin": "the margin divided by that scale; no unit",
    },
    measurement="ablation",
)
