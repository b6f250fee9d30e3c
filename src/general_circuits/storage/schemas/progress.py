"""How well the parts of a network's answers do, and what moves them: docs/progress.md."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, REPLICA, SINGLE, Table

FLAGS = {"is_scheduled": FLAG, "around_onset": FLAG}
FLAG_MEANINGS = {
    "is_scheduled": "whether the checkpoint is one of those spaced over all of training",
    "around_onset": "whether it is one of those spaced alike around each replica's onset, of which most are replayed",
}
"""Of every table of progress."""

TABLE = Table(
    "progress",
    "progress/{condition}/{block}.parquet",
    row="replica, step, split and component",
    key={**REPLICA, "step": INTEGER, "split": CATEGORY, "component": CATEGORY},
    columns={
        **FLAGS,
        "loss": SINGLE,
        "accuracy": SINGLE,
        "margin": SINGLE,
        "part_of_margin": SINGLE,
        "scale": SINGLE,
        "scale_per_norm": SINGLE,
        "decay_effect": SINGLE,
        "loss_gradient_norm": SINGLE,
        "gradient_share": SINGLE,
        "gradient_norm": SINGLE,
    },
    meanings={
        **FLAG_MEANINGS,
        "component": (
            "all (the logits); restricted (what depends on nothing but the right answer, in the key frequencies);"
            " excluded (all less restricted); unseen (restricted, as those validation examples alone tell it whose"
            " mirror image does not train either: a table of the training examples has none of that; missing where"
            " an answer has no such example); answer (whatever depends on nothing but the right answer); or trig"
            " (of restricted, what is made of characters: cosines of the difference of right answer and class)."
            " Logits are less their mean over classes; examples whose answer is no element of the group are left"
            " out"
        ),
        "loss": "mean cross-entropy over the split's examples if the component were all, nats",
        "accuracy": "share of them whose label has the component's largest logit, ties excluded, 0 to 1",
        "margin": "mean of the component's logit of the label less the largest other one, logits",
        "part_of_margin": (
            "the component's part in the mean margin of the whole network, logits: restricted and excluded add up to it"
        ),
        "scale": "root mean square of its logits, over the split's examples and classes",
        "scale_per_norm": "that, divided by the norm of all weights",
        "decay_effect": (
            "relative change of part_of_margin when all weights shrink by the same small share, per share: −1 where it"
            " is linear in them"
        ),
        "loss_gradient_norm": (
            "norm, in all weights, of the gradient of the component's own cross-entropy on training examples; missing"
            " of answer and trig, and of validation examples, and so are the next two"
        ),
        "gradient_share": (
            "of the gradient of the network's cross-entropy on training examples, the part that passes through the"
            " component, along the whole: those of restricted and excluded add up to 1"
        ),
        "gradient_norm": "norm of that part",
    },
    measurement="progress",
)
