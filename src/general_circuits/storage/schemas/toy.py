"""Gradients, updates and contributions of every circuit of the toy duels, step by step."""

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, SINGLE, SINGLES, Table

TABLE = Table(
    "toy",
    "duels/toy-{optimiser}.parquet",
    row="toy, step and circuit",
    key={
        "optimiser": CATEGORY,
        "attention": CATEGORY,
        "sharing": CATEGORY,
        "coverage": INTEGER,
        "weight_decay": NUMBER,
        "batch": INTEGER,
        "order": CATEGORY,
        "initial_share": NUMBER,
        "frequency": INTEGER,
        "replica": INTEGER,
        "step": INTEGER,
        "circuit": CATEGORY,
    },
    columns={
        "reinforced": INTEGER,
        "gradient_norm": SINGLE,
        "update_norm": SINGLE,
        "decay_norm": SINGLE,
        "contributions": SINGLES,
        "gradient_flow": SINGLE,
    },
    meanings={
        "optimiser": "update rule: sgd, momentum (0.9), adam or adamw; decay is coupled in all but adamw",
        "attention": "linear, or softmax (over the two tokens and a place for nothing)",
        "sharing": "whether the general circuit is one head (shared), or a head for each of its pairs (apart)",
        "coverage": "c, number of pairs that the general circuit knows: pairs 0 to c − 1 of n",
        "weight_decay": "weight decay λ",
        "batch": "pairs per step; 0 means all",
        "order": (
            "shuffled; sequential (one pair at a time, in a fixed order); or blocked (all pairs at once, with the first"
            " one left out for a block of steps and shown for the next, in turn)"
        ),
        "initial_share": "the general circuit's share of what both kinds add to a right logit at the start, 0 to 1",
        "frequency": "times that the first pair is shown for each time of any other",
        "replica": "the seed of the order of batches; toys without chance are trained once",
        "circuit": "general, or shallow_i, which knows pair i",
        "reinforced": (
            "number of pairs whose own loss has a gradient in this circuit above 1 % of the largest, over all circuits"
            " and pairs"
        ),
        "gradient_norm": "norm of the gradient of this step's loss in the circuit's weights, nats per unit of weight",
        "update_norm": "norm of the next step without decay, weight units",
        "decay_norm": "norm of the change that decay adds to that step, weight units",
        "contributions": "logits that the circuit adds to each pair's right logit beyond the mean logit, (pair)",
        "gradient_flow": (
            "prediction of the contribution to a pair that the general and a shallow circuit know, by gradient flow of"
            " the two; missing where it is not derived (docs/duels.md)"
        ),
    },
)
