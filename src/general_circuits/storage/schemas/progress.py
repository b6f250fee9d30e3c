"""Quality of the components of a network's answers, and forces on them. docs/progress.md explains them."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, REPLICA, SINGLE, Table

FLAGS = {"is_scheduled": FLAG, "around_onset": FLAG}
FLAG_MEANINGS = {
    "is_scheduled": "whether the checkpoint belongs to those spaced over all of training",
    "around_onset": "whether it belongs to those spaced around each replica's onset; most of these are replayed",
}
"""Meanings of the columns that tell checkpoints apart in every table of progress."""

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
            "all (the logits); answer (the part that depends on the right answer alone); restricted (the key"
            " frequencies of answer); excluded (all minus restricted); unseen (restricted, estimated from unseen"
            " examples alone: a lookup table of the training examples has none of it; missing where an answer has no"
            " unseen example); trig (the part of restricted made of characters, cosines of right answer minus class);"
            " unseen_after (in branches: unseen, with the key frequencies of the last checkpoint)."
            " Key frequencies are those of the last checkpoint or, in a branch, of its first."
            " Unseen examples are validation examples whose mirror image does not train. Every logit has the mean over"
            " classes subtracted. Examples whose answer is no element of the group are left out"
        ),
        "loss": "mean cross-entropy over the split's examples with the component alone as logits, nats",
        "accuracy": "share of the examples whose label has the component's largest logit, ties excluded, 0 to 1",
        "margin": "mean of the component's logit of the label minus its largest other one, logits",
        "part_of_margin": (
            "the component's part in the mean margin of the whole network, logits; restricted and excluded add up to"
            " the margin"
        ),
        "scale": "root mean square of the component's logits over the split's examples and classes",
        "scale_per_norm": "scale divided by the norm of all weights",
        "decay_effect": (
            "relative change of part_of_margin when all weights shrink by the same small share, per share; −1 where the"
            " part is linear in the weights"
        ),
        "loss_gradient_norm": (
            "norm, over all weights, of the gradient of the component's own cross-entropy on training examples. This"
            " and the next two are missing for answer and trig, and in rows of validation examples"
        ),
        "gradient_share": (
            "share of the gradient of the network's training cross-entropy that passes through the component, measured"
            " along that gradient; restricted and excluded add up to 1"
        ),
        "gradient_norm": "norm of the gradient that passes through the component",
    },
    measurement="progress",
)
