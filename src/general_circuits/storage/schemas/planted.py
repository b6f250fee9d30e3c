"""Effects of every update on each side's part in the margins, in planted duels."""

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
        "steps": INTEGER,
        "margin": SINGLE,
        "share": SINGLE,
        "transfer": SINGLE,
        "fresh_transfer": SINGLE,
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
        "replica": "the seed of split, modules and batches",
        "duel_kind": (
            "duel (a generaliser against memorisers), or a null control; controls are generalisers or memorisers (two"
            " modules trained alike), and copy (a generaliser against itself with its neurons in another order)"
        ),
        "optimiser": "update rule of the duel: sgd, momentum (0.9), adam or adamw",
        "parts": "K, number of memorisers, each of one part of the training examples",
        "general_decay": "weight decay λ of the general side",
        "shallow_decay": "weight decay λ of the shallow side",
        "batch": "examples per step; 0 means all",
        "initial_margin": "margin of every training example at the start, logits",
        "initial_share": "the general side's share of that margin, 0 to 1",
        "scaling": (
            "place of the factor that matches margins at the start: outside the networks, inside their readout weights,"
            " or halfway"
        ),
        "label_noise": "ξ, share of the training examples with a wrong label",
        "order": "shuffled, or away (a tenth of the examples is in no batch for the first half of the steps)",
        "steps": (
            "training steps of the duel; effects of steps are recorded for the first steps, which all duels have, and"
            " are missing later"
        ),
        "side": "general or shallow",
        "examples": "all (training examples with right labels) or away (those of them that stay away)",
        "margin": "the side's part in the margin of both sides' sum, mean over examples, logits",
        "share": "that part over both sides' parts together",
        "transfer": (
            "relative change, by the next step without decay, of a part in an example's margin: the part of the module"
            " that knows the example. Median over examples outside the step's batch; missing if the batch has all"
        ),
        "fresh_transfer": (
            "the same by the gradient of this batch alone. Counted is all that it adds to the weights, now and through"
            " momentum in later steps. adam and adamw divide it by their present divisors. For sgd it equals transfer"
        ),
        "reinforcement": "the same over the examples in the batch",
        "decay_effect": "the same relative change by the decay of the next step alone, over all examples",
        "frequency": "share of the examples, in the batch or not, whose part grows by the step without decay, 0 to 1",
        "update_norm": "norm of the side's next step without decay, weight units",
        "decay_norm": "norm of the change that decay adds to that step",
        "weight_norm": "norm of the side's weights",
        "accuracy_alone": "accuracy of the side by itself, 0 to 1",
        "accuracy": "accuracy of the sum on all training examples, with the labels that train, 0 to 1",
        "validation_accuracy": "accuracy of the sum on validation examples, with each side's median factor, 0 to 1",
        "loss": "cross-entropy of the sum on all training examples, nats",
    },
)
