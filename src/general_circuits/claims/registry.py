"""List of all claims of the source.

To measure a claim, add a file beside this one under the claim's id, and name here the tables that it reads. Code,
config, figures and docs share the ids. No stage that trains or measures imports this list.
"""

from __future__ import annotations

from dataclasses import dataclass

from general_circuits.analysis.variants import (
    AT,
    BATCH,
    DECAY,
    FRACTION,
    HOW_LONG,
    INSTEAD,
    KICK,
    NOISE,
    NOISE_EXAMPLES,
    PERTURBATION,
    RANDOM_LABELS,
    RATE,
    WARM_UP,
    Conditions,
    Variants,
    of_any,
)

OPTIMISER = "optimiser.optimiser"
MOVED_ALONE = Variants(
    "decay or noise alone",
    (INSTEAD,),
    (AT, DECAY, NOISE_EXAMPLES, *HOW_LONG, "optimiser.optimiser", "optimiser.decay"),
)
"""Branches in which no gradient moves the weights."""
BY_EXAMPLE = {"split.split_by": "example"}
BARE = {DECAY: 0.0, BATCH: "full"}
"""Settings of training without regularisation: no decay, and no noise of batches."""
UNREGULARISED = tuple(
    f"optimiser.{key}"
    for key in ("optimiser", "learning_rate", "warm_up", "decay", "momentum", "loss", "loss_precision")
)
"""Settings that may differ from grokking's, beside those of `BARE`, in conditions without regularisation."""


@dataclass(frozen=True)
class Claim:
    """One claim of the source, and the data that it is judged from.

    Attributes:
        statement: the claim itself.
        said_by: the place in the source that makes it.
        predicts: measured results that are expected if the claim holds.
        tables: tables that its file reads; empty if the claim is not measured yet.
        tables_beside: tables that its file also reads where a study has them.
        specified: tables for its specification curve, which has the conditions of `needs` only.
        needs: conditions without which it cannot be judged.
        beside: control conditions shown beside it where the study has them.
        needs_variants: kinds of variants; at least one variant of each kind is needed.
        variants_beside: kinds of variants shown beside it where the study has them.
        study: the smallest study of config/ that has what the claim needs, for studies that lack it.
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
    study: str = "full"

    @property
    def is_measured(self) -> bool:
        """True if a file of this package judges the claim."""
        return bool(self.tables)

    def among(self, conditions: Conditions) -> list[str]:
        """Return the conditions of a study that the claim reads: the needed ones, variants, and those beside them."""
        named = [name for name in self.needs + self.beside if name in conditions]
        return list(dict.fromkeys([*named, *of_any(self.needs_variants + self.variants_beside, conditions)]))


CLAIMS = {
    "saliency_skew": Claim(
        "the histogram over neurons of the per-neuron median saliency becomes more right-skewed during training",
        "post, experimental investigations",
        predicts="from memorising to generalising, saliency concentrates on fewer neurons: its L-skewness rises by more"
        " than 0.05; by the source's mechanism, neurons matter on more examples: their breadth rises by more than 0.05;"
        " each beyond every kind of random labels",
        tables=("moments", "distribution", "conditions"),
        specified=("moments", "specified_distribution"),
        needs=("grokking", "random_labels"),
        beside=("too_little_data", "no_weight_decay", "no_delay"),
        variants_beside=(RANDOM_LABELS,),
    ),
    "topk_damage": Claim(
        "deleting the k most salient neurons of each epoch damages more and more of the model's predictions",
        "post, experimental investigations",
        predicts="from memorising to generalising, deleting the most salient neurons costs more and more training"
        " accuracy, by more than 0.05, also beyond deleting random ones; and it grows faster while validation accuracy"
        " rises than before and after",
        tables=("moments", "damage"),
        specified=("moments", "specified_damage"),
        needs=("grokking",),
        beside=("random_labels", "too_little_data", "no_weight_decay", "no_delay"),
        variants_beside=(RANDOM_LABELS,),
    ),
    "update_share": Claim(
        "a general circuit receives more frequent and stronger updates than the shallow circuits that make the same"
        " predictions",
        "post, experimental investigations",
        predicts="steps on other examples favour a generaliser over memorisers of a few examples each more than over"
        " a memoriser of all, in each of three equivalent scalings",
        tables=("planted", "modules"),
    ),
    "takeover": Claim(
        "with equal predictions at the start, the general circuit gradually replaces the shallow ones",
        "post, toy example",
        predicts="with and without decay, the general side's share of the margin rises from a half to above 0.6, and"
        " the shallow side keeps less than half of its part",
        tables=("planted", "modules", "toy"),
    ),
    "forgetting": Claim(
        "a shallow circuit decays on batches that lack its example, while general circuits recover",
        "post, toy example",
        predicts="a step on other examples reduces a memoriser's part in a margin; serving more examples protects from"
        " it",
        tables=("planted", "modules"),
    ),
    "weight_decay": Claim(
        "weight decay speeds generalisation, because it degrades shallow circuits more than general ones",
        "post",
        predicts="steps to generalise go as the weight decay to a power below −0.2; and decay alone removes a larger"
        " share of the shallow part of margins than of the general part, by more than 0.05",
        tables=("conditions", "events"),
        tables_beside=("progress", "structure"),
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
        predicts="steps to generalise go as the batch size to a power above 0.2; and noise alone, of minibatches or"
        " Gaussian, removes a larger share of the shallow part of margins than of the general part, by more than 0.05",
        tables=("conditions", "events"),
        tables_beside=("progress", "structure"),
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
        predicts="around a spike of the training loss on the plateau, the general share of training margins gains"
        " over 0.02 more than without a spike; and that much more than after random kicks as large",
        tables=("events", "spikes", "spike_effects"),
        needs=("grokking",),
        variants_beside=(Variants("losses in float64", ("optimiser.loss_precision",)),),
    ),
    "validation_leads": Claim(
        "after the overfitting peak, validation loss starts to fall thousands of steps before training loss does",
        "post",
        predicts="while validation loss falls by a nat from its peak on the plateau, the log of training loss's floor"
        " falls by less than 0.1",
        tables=("events", "losses"),
        needs=("grokking",),
    ),
    "gradual": Claim(
        "the rise to full validation accuracy is a large part of the training time; the sudden jump is a log-axis"
        " illusion",
        "post; rival account in the comments",
        predicts="the rise of validation accuracy from 5 % to 95 % takes more than half of all steps up to its end",
        tables=("conditions", "metrics", "events"),
        needs=("grokking",),
        beside=("no_delay",),
        variants_beside=(
            Variants("other tasks", ("task.",), ("model.", "optimiser.", "split.")),
            Variants("moved initial weights", (PERTURBATION,)),
        ),
    ),
    "partial_generalisation": Claim(
        "mid-way the network is a patchwork: x·y mod p is right first where x·y < p, then band by band",
        "post",
        predicts="networks that read numbers learn examples of lower bands of x·y earlier, more than with relabelled"
        " bands; and mid-way, accuracies differ between operands and between answers by more than chance",
        tables=("conditions", "split", "answers"),
        needs=("grokking",),
        variants_beside=(
            Variants("another formula", ("task.formulas",)),
            Variants(
                "ordinal inputs",
                ("model.inputs",),
                ("model.", "optimiser.", "task.formulas", "task.modulus", FRACTION),
                {"model.inputs": "ordinal"},
            ),
        ),
    ),
    "learning_rate": Claim(
        "once grokking has started, 5–100 times the learning rate speeds it up as much",
        "comments, rival account",
        predicts="the steps left to generalise go as the learning rate to the power −0.8 or less; or, by the author's"
        " account, at ten times the rate training accuracy falls by more than 0.2, and both accuracies rise together",
        tables=("conditions", "events", "metrics"),
        needs=("grokking",),
        needs_variants=(
            Variants("branches at onset with another learning rate", (RATE,), fixed={AT: "onset"}, parents="all"),
        ),
        variants_beside=(
            Variants("other learning rates", (RATE,), (AT, DECAY, WARM_UP, *HOW_LONG)),
            Variants("kicks", (KICK,), (AT,)),
            Variants("other learning rates in branches of others", (RATE,), (AT, DECAY, *HOW_LONG), parents="others"),
            Variants("kicks in branches of others", (KICK,), (AT,), parents="others"),
        ),
        study="comments",
    ),
    "commutativity": Claim(
        "with x+y in training and y+x in validation, about half of validation is free",
        "comments",
        predicts="after memorisation, more than half of the validation examples whose mirror image trains are right,"
        " beyond the share of the others",
        tables=("conditions", "events", "metrics", "split"),
        needs=("grokking",),
        needs_variants=(Variants("condition split by example", ("split.split_by",)),),
        variants_beside=(Variants("other operations", ("task.",), (FRACTION,), BY_EXAMPLE),),
    ),
    "no_regularisation": Claim(
        "full batch with no regularisation still groks, but much less; a perfectly tuned step size would prevent it",
        "comments",
        predicts="without decay and noise, validation accuracy rises by more than 0.1 from t_m to five times grokking's"
        " t_g; with both it rises by over 0.1 more, and with a line search by less than 0.05",
        tables=("conditions", "events", "metrics"),
        needs=("grokking",),
        needs_variants=(Variants("condition on full batches without decay", (DECAY,), UNREGULARISED, BARE),),
        study="comments",
    ),
    "imperfect_confidence": Claim(
        "memorisation stops short of full confidence, and the leftover gradient drives generalisation",
        "comments, rival account",
        predicts="from t_m to t_o the right answer of the median training example has a probability below 0.99, in a"
        " mean over time",
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
