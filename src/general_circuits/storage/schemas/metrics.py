"""How well a network answers as it trains, from logits in float64."""

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
            "on which examples: train or validation; under label noise also train_corrupted and train_true: the"
            " training examples whose label is wrong, and right; where (b, a) trains of some validation examples (a,"
            " b), also validation_mirrored and validation_unmirrored: these, and the others"
        ),
        "loss": (
            "mean over the split's examples of what the condition trains on, its `loss`: cross_entropy and stablemax in"
            " nats, mean_squared_error in logits², hinge in logits; without weight decay"
        ),
        "accuracy": "share of the split's examples whose label has the largest logit, 0 to 1, ties excluded",
        "margin": "mean over the split's examples of the label's logit minus the largest other one, logits",
        "correct_probability": (
            "median over the split's examples of the probability given to the label, 0 to 1; of an even number, the"
            " lower of the two in the middle"
        ),
        "correct_probability_q10": "the same, of which a tenth of the examples have less",
        "correct_probability_q90": "the same, of which a tenth of the examples have more",
        "gradient_norm": (
            "Euclidean norm of the loss's gradient in all weights, on the batch of the update that led here; missing at"
            " step 0; the same for both splits"
        ),
        "weight_norm": "Euclidean norm of all weights; the same for both splits",
        "distance": (
            "sum over all updates so far of the Euclidean norm of what each changed in the weights; of a branch its"
            " parent's goes on; the same for both splits"
        ),
        "learning_rate": (
            "of the update that led here, warm-up included, or the step size that its line search found, 0 if none; 0"
            " at step 0; the same for both splits"
        ),
        "diverged": "whether, here or at an evaluation before, a loss or the weight norm is not finite",
    },
)
