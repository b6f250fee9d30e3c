"""Toy duels: what happens to every circuit in training, step by step."""

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
        "optimiser": "sgd, momentum (0.9), adam or adamw; decay is coupled but in adamw",
        "attention": "linear, or softmax over the two tokens and nothing",
        "sharing": "whether the general circuit is one head (shared), or a head for each of its pairs (apart)",
        "coverage": "c, how many of the n pairs the general circuit knows: pairs 0 to c − 1",
        "weight_decay": "λ",
        "batch": "pairs per step; 0 for all",
        "order": (
            "shuffled; sequential (one pair at a time, always in the same order); or blocked (all pairs at once, the"
            " first left out for a block of steps, and there again for as many)"
        ),
        "initial_share": "of the general circuit in what both add to a right logit at the start, 0 to 1",
        "frequency": "how often the first pair is shown for each time that another one is",
        "replica": "the seed, of the order of batches; toys without chance are trained once",
        "circuit": "general, or shallow_i, which knows pair i",
        "reinforced": (
            "pairs whose own loss has a gradient in this circuit over 1 % of the largest of any circuit and pair"
        ),
        "gradient_norm": "of the loss of this step, over the circuit's weights; logits per weight",
        "update_norm": "of the step made next, without what decay adds; weight units",
        "decay_norm": "of what decay adds to that step; weight units",
        "contributions": "what the circuit adds to each pair's right logit beyond the mean logit, (pair)",
        "gradient_flow": (
            "the same of a pair that the general and a shallow circuit know, by gradient flow of the two; missing where"
            " it is not derived: docs/duels.md"
        ),
    },
)
