"""The claims of the source, all of them. Measuring one is a file beside this one and, here, what it reads.

The ids are shared by code, config, figures and docs. No stage that trains or measures imports this list.
"""

from __future__ import annotations

from dataclasses import dataclass

from general_circuits.analysis.variants import (
    AT,
    BATCH,
    DECAY,
    FRACTION,
    INSTEAD,
    KICK,
    NOISE,
    RATE,
    Conditions,
    Variants,
    of_any,
)

OPTIMISER = "optimiser.optimiser"
HOW_LONG = ("branch.lasts", "branch.then")
MOVED_ALONE = Variants(
    "decay or noise alone",
    (INSTEAD,),
    (AT, DECAY, *HOW_LONG, "optimiser.optimiser", "optimiser.decay"),
)
"""Branches in which no gradient moves the weights."""
BY_EXAMPLE = {"split.split_by": "example"}
UNREGULARISED = tuple(
    f"optimiser.{key}"
    for key in ("optimiser", "learning_rate", "warm_up", "decay", "momentum", "loss", "loss_precision")
)
"""What may differ, beside batches and decay, where nothing regularises."""
BARE = {DECAY: 0.0, BATCH: "full"}


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        statement: what is claimed.
        said_by: where in the source.
        predicts: what should be seen if it holds, in terms of what is measured.
        tables: what its file reads; none if it is not measured yet.
        tables_beside: what it reads where a study has it.
        specified: what it reads for its specification curve, of `needs` alone.
        needs: conditions without which it cannot be judged.
        beside: control conditions shown beside it, where the study has them.
        needs_variants: kinds of variants of grokking, of each of which it needs one.
        variants_beside: kinds shown beside it.
    """

    statement: str
    said_by: str
    predicts: str = ""
    tables: tuple[str, ...] = ()
    tables_beside: tuple[str, ...] = ()
    specified: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    needs_variants: tuple[Variants, ...] = ()
    variants_beside: tuple[Variants, ...] = ()

    @property
    def is_measured(self) -> bool:
        return bool(self.tables)

    def among(self, conditions: Conditions) -> list[str]:
        """The conditions of a study that it is judged from: needed, variants, and shown beside them."""
        named = [name for name in self.needs + self.beside if name in conditions]
        return list(dict.fromkeys([*named, *of_any(self.needs_variants + self.variants_beside, conditions)]))


CLAIMS = {
    "saliency_skew": Claim(
        "the histogram over neurons of the per-neuron median saliency becomes more right-skewed during training",
        "post, experimental investigations",
        predicts="from memorising to generalising, saliency concentrates on fewer neurons: its L-skewness rises by more"
        " than 0.05, beyond that of random labels",
        tables=("events", "distribution"),
        specified=("events", "specified_distribution"),
        needs=("grokking", "random_labels"),
        beside=("too_little_data", "no_weight_decay", "no_delay"),
    ),
    "topk_damage": Claim(
        "deleting the k most salient neurons of each epoch damages more and more of the model's predictions",
        "post, experimental investigations",
        predicts="from memorising to generalising, deleting the most salient neurons costs more and more training"
        " accuracy, also beyond deleting random ones",
        tables=("events", "damage"),
        specified=("events", "specified_damage"),
        needs=("grokking",),
        beside=("random_labels", "too_little_data", "no_weight_decay", "no_delay"),
    ),
    "update_share": Claim(
        "a general circuit receives more frequent and stronger updates than the shallow circuits that make the same"
        " predictions",
        "post, experimental investigations",
        predicts="what a step on other examples does to a generaliser's part in a margin is more than what it does to a"
        " memoriser's, wherever a scale is put",
        tables=("planted", "modules"),
    ),
    "takeover": Claim(
        "with equal predictions at the start, the general circuit gradually replaces the shallow ones",
        "post, toy example",
        predicts="of a margin that both give half of, the general side comes to give over 0.6, and the shallow side"
        " less than half of what it gave, without decay",
        tables=("planted", "modules", "toy"),
    ),
    "forgetting": Claim(
        "on batches that lack its example a shallow circuit decays; general circuits recover",
        "post, toy example",
        predicts="a step on other examples makes a memoriser's part in a margin smaller, and a generaliser's less so",
        tables=("planted", "modules"),
    ),
    "weight_decay": Claim(
        "weight decay speeds generalisation, because it degrades shallow circuits more than general ones",
        "post",
        predicts="steps to generalise fall as weight decay grows; and decay by itself takes more from the shallow part"
        " of margins than from the general part",
        tables=("conditions", "events"),
        tables_beside=("progress",),
        needs=("grokking",),
        needs_variants=(Variants("conditions with another weight decay", (DECAY,), unlike={DECAY: 0.0}),),
        variants_beside=(
            MOVED_ALONE,
            Variants("none", (DECAY,)),
            Variants("other training fractions", (FRACTION,), (DECAY,)),
        ),
    ),
    "stochasticity": Claim(
        "minibatch noise speeds generalisation, because it degrades shallow circuits more than general ones",
        "post",
        predicts="steps to generalise grow with the size of batches; and noise by itself takes more from the shallow"
        " part of margins than from the general part",
        tables=("conditions", "events"),
        tables_beside=("progress",),
        needs=("grokking",),
        needs_variants=(Variants("conditions with another batch size", (BATCH,)),),
        variants_beside=(
            MOVED_ALONE,
            Variants("noise like that of batches", (NOISE,), (AT, BATCH)),
        ),
    ),
    "spikes": Claim(
        "training-loss spikes coincide with validation-loss spikes, are regular, and mark events where circuits are"
        " unified",
        "post; rival account in the comments",
        predicts="from 50 steps before a spike of the training loss to 200 after it, the general part of training"
        " margins gains more than in windows without spikes, and than after random kicks of the weights as large",
        tables=("losses", "spikes", "spike_effects"),
        needs=("grokking",),
        variants_beside=(Variants("losses in float64", ("optimiser.loss_precision",)),),
    ),
    "validation_leads": Claim(
        "after the overfitting peak, validation loss starts to fall thousands of steps before training loss does",
        "post",
        predicts="while validation loss falls its first nat from its peak, the floor of the training loss stays: its"
        " log falls by less than 0.1",
        tables=("metrics",),
        needs=("grokking",),
    ),
    "gradual": Claim(
        "the rise to full validation accuracy is a large part of the training time; the sudden jump is a log-axis"
        " illusion",
        "post; rival account in the comments",
        predicts="from 5 % to 95 % of its rise, validation accuracy takes more than half of all steps until then",
        tables=("metrics", "events"),
        needs=("grokking",),
        beside=("no_delay",),
        variants_beside=(Variants("other tasks", ("task.",), ("model.", "optimiser.", "split.")),),
    ),
    "partial_generalisation": Claim(
        "mid-way the network is a patchwork: x·y mod p is right first where x·y < p, then band by band",
        "post",
        predicts="the lower the band of x·y, the earlier an example is right, beyond what relabelled bands show; and"
        " mid-way accuracies differ between operands and answers by more than chance",
        tables=("conditions", "split", "answers"),
        needs=("grokking",),
        variants_beside=(
            Variants("another formula", ("task.formulas",)),
            Variants(
                "ordinal inputs",
                ("model.inputs",),
                ("model.", "optimiser.", "task.formulas", FRACTION),
                {"model.inputs": "ordinal"},
            ),
        ),
    ),
    "learning_rate": Claim(
        "once grokking has started, 5–100 times the learning rate speeds it up as much",
        "comments, rival account",
        predicts="the steps left to generalise fall as the rate grows, to the power −0.8 or less; or, by the author's"
        " account, ten times the rate lets training accuracy fall to validation accuracy, and both rise of_any",
        tables=("conditions", "events", "metrics"),
        needs=("grokking",),
        needs_variants=(Variants("branches at onset with another learning rate", (RATE,), fixed={AT: "onset"}),),
        variants_beside=(
            Variants("other learning rates", (RATE,), (AT, DECAY, *HOW_LONG)),
            Variants("kicks", (KICK,), (AT,)),
            Variants("the same of other conditions", (RATE,), (AT, DECAY, *HOW_LONG), of_others=True),
        ),
    ),
    "commutativity": Claim(
        "with x+y in training and y+x in validation, about half of validation is free",
        "comments",
        predicts="when training examples are memorised, over half of the validation examples whose mirror image trains"
        " are right, beyond what a split by pair has",
        tables=("conditions", "events", "metrics", "split"),
        needs=("grokking",),
        needs_variants=(Variants("condition split by example", ("split.split_by",)),),
        variants_beside=(Variants("other operations", ("task.",), (FRACTION,), BY_EXAMPLE),),
    ),
    "no_regularisation": Claim(
        "full batch with no regularisation still groks, but much less; a perfectly tuned step size would prevent it",
        "comments",
        predicts="without decay and noise, validation accuracy rises by over 0.1 after t_m, and less than with both;"
        " with a line search it does not",
        tables=("conditions", "events", "metrics"),
        needs=("grokking",),
        needs_variants=(
            Variants("condition on full batches without decay", (DECAY,), UNREGULARISED, {DECAY: 0.0, BATCH: "full"}),
        ),
    ),
    "imperfect_confidence": Claim(
        "memorisation stops short of full confidence, and the leftover gradient drives generalisation",
        "comments, rival account",
        predicts="from t_m to t_o the median training example's right answer has a probability of 0.99 or less",
        tables=("conditions", "events", "metrics"),
        tables_beside=("deciles",),
        needs=("grokking",),
        variants_beside=(
            Variants("confident examples left out", ("branch.intervention.ignore_above",), (AT,)),
            Variants("a temperature", ("branch.intervention.temperature",), (AT,)),
            Variants("no decay", (DECAY,), ("optimiser.loss_precision",), {DECAY: 0.0, AT: "memorised"}),
            MOVED_ALONE,
            Variants(
                "gradient descent", ("optimiser.optimiser",), (AT, RATE, DECAY, "optimiser.decay", "optimiser.momentum")
            ),
        ),
    ),
    "complexity": Claim(
        "time to generalise grows exponentially with the complexity of the operation", "comments, rival account"
    ),
    "combination": Claim(
        "problems whose shallow circuits cannot be merged step by step take longer to generalise; or: only they grok",
        "comments, two opposite predictions",
    ),
    "barrier": Claim(
        "there is an activation barrier between the memorising and the general solution", "comments, disputed"
    ),
    "lottery_ticket": Claim("the lottery-ticket hypothesis holds for grokked networks", "comments, a question"),
    "prior_sampling": Claim(
        "random initialisations that fit the training set already generalise like SGD's solutions", "post"
    ),
}
