"""Loss, accuracy and margin of a network as it trains, from logits in float64."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, NUMBER, REPLICA, Table

TABLE = Table(
    "metrics",
    "runs/{condition}/{block}/metrics.parquet",
    row="replica, step and split",
    key={**REPLICA, "step": INTEGER, "split": CATEGORY},
    columns={
        "loss": NUMBER,
        "accuracy": NUMBER,
        "margin": NUMBER,
        "correct_probability": NUMBER,
        "correct_probability_q10": NUMBER,
        "correct_probability_q90": NUMBER,
        "gradient_norm": NUMBER,
        "weight_norm": NUMBER,
        "distance": NUMBER,
        "learning_rate": NUMBER,
        "diverged": FLAG,
    },
    meanings={
        "split": (
            "the examples that are measured: train or validation. Under label noise also train_corrupted and"
            " train_true, the training examples with wrong and with right labels. If (b, a) trains for some validation"
            " examples (a, b), also validation_mirrored (these) and validation_unmirrored (all others)"
        ),
        "loss": (
            "mean over the split's examples of the condition's `loss`, without weight decay: cross_entropy and"
            " stablemax in nats, mean_squared_error in logits², hinge in logits"
        ),
        "accuracy": "share of the split's examples whose label has the largest logit, 0 to 1, ties excluded",
        "margin": "mean over the split's examples of the label's logit minus the largest other one, logits",
        "correct_probability": (
            "probability of the label, median over the split's examples, 0 to 1; for an even number of examples, the"
            " lower of the two in the middle"
        ),
        "correct_probability_q10": "probability of the label that a tenth of the examples stay below",
        "correct_probability_q90": "probability of the label that a tenth of the examples exceed",
        "gradient_norm": (
            "Euclidean norm of the loss's gradient in all weights, on the batch of the last update; missing at step 0;"
            " the same for all splits"
        ),
        "weight_norm": "Euclidean norm of all weights; the same for all splits",
        "distance": (
            "sum, over all updates so far, of the Euclidean norm of each change of the weights; a branch continues its"
            " parent's sum; the same for all splits"
        ),
        "learning_rate": (
            "learning rate of the last update, with warm-up, or the step size that its line search found (0 if none);"
            " 0 at step 0; the same for all splits"
        ),
        "diverged": "whether a loss or the weight norm is not finite, here or at an earlier evaluation",
    },
    also=("replays/{condition}/{block}/{replay}/metrics.parquet",),
)
