"""Neurons in training: how general they are, how training examples agree on them, and what updates make of them."""

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
        "neuron": "its number, from 0: an MLP's unit",
        "saliency": (
            "mean over training examples, with the labels that train, of |activation × gradient of right_minus_mean|;"
            " logits"
        ),
        "breadth": (
            "share of the n training examples that carry the saliency s, (Σ|s|)² / (n·Σs²): 1/n (one of them) to 1 (all"
            " alike); 0 without saliency"
        ),
        "generality": (
            "share of the training examples on which its |saliency| is more than an equal share, 1 / neurons, of that"
            " of all neurons of the layer together; 0 to 1"
        ),
        "alive": ("whether its activation is not 0 in some training example, at a position that reaches the answer"),
        "weight_norm": "norm of the weights into it times that of those out of it, without biases; 0 or more",
        "gradient_norm": (
            "norm of the mean over training examples of the gradient of cross-entropy in its weights: into it, its"
            " bias, and out of it; nats per unit of weight, 0 or more"
        ),
        "gsnr": (
            "signal to noise of that gradient g over examples, ‖mean g‖² / (mean ‖g‖² − ‖mean g‖²) (Liu et al. 2020,"
            " over its weights together); 0 or more, missing where all are equal"
        ),
        "coherence": (
            "m-coherence of that gradient over the n examples, n·‖mean g‖² / mean ‖g‖² (Chatterjee and Zielinski 2020):"
            " how many of them a step on one of them helps, 0 (they cancel), 1 (orthogonal) to n (equal); missing"
            " without a gradient"
        ),
        "shuffled_gsnr": (
            "gsnr with the labels shuffled among the training examples, once for each replica: at the start"
            " what would be there without a rule in them, later what it takes to unlearn one"
        ),
        "shuffled_coherence": "coherence with the same shuffled labels",
        "update_norm": (
            "norm of what the updates until the next checkpoint here added to these weights, net of decay; 0 or more."
            " Missing at the last one, and where decay goes through the update rule (coupled, with momentum or in Adam;"
            " line_search; lbfgs)"
        ),
        "decay_norm": "norm of what decay took from these weights until then; 0 or more, missing where update_norm is",
    },
    measurement="updates",
)
