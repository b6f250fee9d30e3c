"""Accuracy, loss and margin of networks with sets of neurons deleted."""

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
"""Key of one curve over the number of deleted neurons: which neurons, how they are deleted, on which examples."""

MEANINGS = {
    "split": (
        "the examples that are measured: train or validation; after label noise also train_corrupted and train_true,"
        " the training examples with wrong and with right labels"
    ),
    "deletion": (
        "value of a deleted unit, at every position: zero; mean (over training examples); or resample (its value on"
        " another training example, drawn once for each example and the same at every step)"
    ),
    "ranking": (
        "order of deletion: top (the largest first), bottom (the smallest first), random, or matched (other neurons"
        " with activation norms similar to the top k's)"
    ),
    "by": (
        "number that ranks neurons: a statistic of saliency over training examples (mean_magnitude, median_magnitude,"
        " q95_magnitude, breadth, or median by its absolute value); activation_norm (root of the summed squared"
        " activations on training examples); weight_norm (norm of the weights in times norm of the weights out); none"
        " in random rankings. Method, target and normalisation are none where saliency does not rank"
    ),
    "draw": "number of the random ranking, from 0; 0 in the other rankings",
}
"""Meanings of the key's columns."""

TABLE = Table(
    "ablation",
    "ablation/{condition}/{block}.parquet",
    row="replica, step, split, layer, site, dead_units, deletion, ranking, by, draw and k",
    key={**KEY, "k": INTEGER},
    columns={"accuracy": NUMBER, "loss": NUMBER, "margin": NUMBER, "matched_loss": NUMBER, "matched_margin": NUMBER},
    meanings={
        **MEANINGS,
        "k": "number of neurons deleted, at one site of one layer; 0 is the whole network",
        "accuracy": (
            "share of the measured examples whose label has the largest logit, 0 to 1, ties excluded. This and all"
            " columns after it are missing where the layer has too few neurons for a matched set"
        ),
        "loss": "mean cross-entropy over the measured examples, nats",
        "margin": "mean over the measured examples of the label's logit minus the largest other one, logits",
        "matched_loss": (
            "mean cross-entropy of logits divided by the checkpoint's scale, nats. The scale is the root mean square,"
            " over training examples and classes, of the whole network's logits minus their mean over classes"
        ),
        "matched_margin": "the margin divided by that scale; no unit",
    },
    measurement="ablation",
    also=("specifications/ablation/{condition}/{block}.parquet",),
)
