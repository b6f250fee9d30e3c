"""Planted duels: what every update does to each side's part in the margins, step by step."""

from general_circuits.storage.tables import CATEGORY, INTEGER, NUMBER, SINGLE, Table

TABLE = Table(
    "planted",
    "duels/planted/{block}/duels.parquet",
    row="replica, duel, step, side and group of examples",
    key={
        "replica": INTEGER,
        "duel_kind": CATEGORY,
        "optimiser": CATEGORY,
        "parts": INTEGER,
        "general_decay": NUMBER,
        "shallow_decay": NUMBER,
        "batch": INTEGER,
        "initial_margin": NUMBER,
        "initial_share": NUMBER,
        "scaling": CATEGORY,
        "label_noise": NUMBER,
        "order": CATEGORY,
        "step": INTEGER,
        "side": CATEGORY,
        "examples": CATEGORY,
    },
    columns={
        "margin": SINGLE,
        "share": SINGLE,
        "transfer": SINGLE,
        "reinforcement": SINGLE,
        "decay_effect": SINGLE,
        "frequency": SINGLE,
        "update_norm": SINGLE,
        "decay_norm": SINGLE,
        "weight_norm": SINGLE,
        "accuracy_alone": SINGLE,
        "accuracy": SINGLE,
        "validation_accuracy": SINGLE,
        "loss": SINGLE,
    },
    meanings={
        "replica": "the seed, of split, modules and batches",
        "duel_kind": (
            "duel (a generaliser against memorisers); or a null control: generalisers or memorisers (two trained"
            " alike), copy (a generaliser and the same one with its neurons in another order)"
        ),
        "optimiser": "of the duel: sgd, momentum (0.9), adam or adamw",
        "parts": "K, memorisers, of a part of the training examples each",
        "general_decay": "λ of the general side",
        "shallow_decay": "λ of the shallow side",
        "batch": "examples per step; 0 for all",
        "initial_margin": "of every training example's right answer at the start, logits",
        "initial_share": "of the general side in it",
        "scaling": (
            "where the factor is that matches margins at the start: outside the networks, inside their readout weights,"
            " or halfway"
        ),
        "label_noise": "ξ, share of the training examples whose label is a wrong one",
        "order": "shuffled; or away, where a tenth of the examples stays away for the first half of the steps",
        "side": "general or shallow",
        "examples": "training examples with right labels, all of them; or those that stay away",
        "margin": "the side's part in the margin of the sum, mean over examples, logits",
        "share": "of that in both sides' parts together",
        "transfer": (
            "what the next step, without decay, changes of the part that the module knowing an example has in its"
            " margin, relative to that part: median over examples outside the step's batch; missing where all are in it"
        ),
        "reinforcement": "the same, over the examples in the batch",
        "decay_effect": "the same of what decay alone does in the next step, over all examples",
        "frequency": "share of the examples, in the batch or not, whose part the step makes larger, 0 to 1",
        "update_norm": "of the side's next step, without what decay adds; weight units",
        "decay_norm": "of what decay adds to it",
        "weight_norm": "of the side's weights",
        "accuracy_alone": "of the side by itself, 0 to 1",
        "accuracy": "of the sum on all training examples, with the labels that train, 0 to 1",
        "validation_accuracy": "of the sum on examples that never train, where a side has its median factor, 0 to 1",
        "loss": "of the sum on all training examples, nats",
    },
)
