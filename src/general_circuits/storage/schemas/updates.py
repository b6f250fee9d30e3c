"""Neurons in training: their generality, how training examples agree on them, and how updates change them."""

from general_circuits.storage.schemas.progress import FLAG_MEANINGS, FLAGS
from general_circuits.storage.tables import FLAG, INTEGER, REPLICA, SINGLE, Table

TABLE = Table(
    "updates",
    "updates/{condition}/{block}.parquet",
    row="replica, step, layer and neuron",
    key={**REPLICA, "step": INTEGER, "layer": INTEGER, "neuron": INTEGER},
    columns={
        **FLAGS,
        "saliency": SINGLE,
        "breadth": SINGLE,
        "generality": SINGLE,
        "alive": FLAG,
        "weight_norm": SINGLE,
        "gradient_norm": SINGLE,
        "gsnr": SINGLE,
        "coherence": SINGLE,
        "shuffled_gsnr": SINGLE,
        "shuffled_coherence": SINGLE,
        "update_norm": SINGLE,
        "decay_norm": SINGLE,
    },
    meanings={
        **FLAG_MEANINGS,
        "neuron": "number of the MLP's unit, from 0",
        "saliency": (
            "mean of |activation × gradient of right_minus_mean| over training examples, with the labels that train;"
            " logits"
        ),
        "breadth": (
            "share of the n training examples that carry the saliency s, (Σ|s|)² / (n·Σs²): 1/n (one example) to 1 (all"
            " alike); 0 without saliency"
        ),
        "generality": (
            "share of the training examples on which its |saliency| exceeds the layer's mean |saliency| over neurons;"
            " 0 to 1"
        ),
        "alive": ("whether its activation is not 0 on some training example, at a position that reaches the answer"),
        "weight_norm": "norm of the weights into it times norm of the weights out of it, without biases; 0 or more",
        "gradient_norm": (
            "norm of the gradient of mean training cross-entropy in its weights (into it, its bias, and out of it);"
            " nats per unit of weight, 0 or more"
        ),
        "gsnr": (
            "signal-to-noise ratio of the examples' gradients g, ‖mean g‖² / (mean ‖g‖² − ‖mean g‖²) (Liu et al. 2020,"
            " for all its weights together); 0 or more, missing where all are equal"
        ),
        "coherence": (
            "m-coherence of the n examples' gradients, n·‖mean g‖² / mean ‖g‖² (Chatterjee and Zielinski 2020); it is"
            " the number of examples that a step on one of them helps, 0 if gradients cancel, 1 if orthogonal, n if"
            " equal; missing without a gradient"
        ),
        "shuffled_gsnr": (
            "gsnr with labels shuffled among the training examples, once for each replica. At the start it is the value"
            " for labels without a rule; later the network has to unlearn one"
        ),
        "shuffled_coherence": "coherence with the same shuffled labels",
        "update_norm": (
            "norm of the change of these weights until the next checkpoint of this table, without decay; 0 or more."
            " Missing at the last one, and where decay passes through the update rule (coupled decay with momentum or"
            " in Adam; line_search; lbfgs)"
        ),
        "decay_norm": "norm of the change by decay until the next checkpoint; 0 or more, missing where update_norm is",
    },
    measurement="updates",
)
