"""The figures of the report. A new one is a file beside this one and an entry here: what it reads, and its caption."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure: what it shows, where it stands, and what it is drawn from.

    Attributes:
        title: what the report lists it as.
        category: what it belongs to; the report lists categories in alphabetical order.
        tables: what it reads.
        caption: what a reader sees in it; the numbers of a run are added when it is drawn.
        claim: whose conditions alone it shows; else the study's that are no branches and measured throughout.
        toggle: the one choice a reader has, and its two values, the registered one first; none has one value.
    """

    title: str
    category: str
    tables: tuple[str, ...]
    caption: str
    toggle: str = ""
    views: tuple[str, ...] = ("all",)
    claim: str = ""


CENSORED = "a triangle where it did not in the steps trained, a line through medians (Kaplan–Meier)"
CENSORED_ALONG = "an arrow where it did not in the steps trained, a stroke the median (Kaplan–Meier)"
BANDS = "Lines are means over replicas, bands the 95 % interval of that mean (Student's t)"

FIGURES = {
    "forest": Figure(
        "Every claim and its controls",
        "All claims",
        ("claim",),
        "One panel per claim with data, or for each unit that it is judged in. Diamonds are registered contrasts,"
        " coloured by their verdict; below them stand the first other contrasts in the same unit. Lines are 95 %"
        " intervals over replicas (Student's t). Changes are from t_m to the late window.",
    ),
    "specification_curve": Figure(
        "Specification curve",
        "Choices not registered",
        ("specification",),
        "Above, the claim's estimate under every combination of the choices that could have been made, in ascending"
        " order, with 95 % intervals over replicas (Student's t; the widest may end outside), coloured by whether"
        " the whole interval lies above the claim's threshold, below minus it (dashed), or neither. The diamond is"
        " the registered combination; those without an estimate are the striped stretch. Below, the options that"
        " each has: where there are many, darker means a larger share of those at that place. At the right, the"
        " median estimate under each option, in the registered one's unit, and its range over the options of a"
        " choice: large where the choice matters. All combinations are of the same networks, so their number is no"
        " evidence by itself.",
        "claim",
        ("saliency_skew", "topk_damage"),
    ),
    "learning_curves": Figure(
        "Learning curves",
        "Training",
        ("metrics", "events"),
        "Training (dashed) and validation examples (solid) in every condition, on a log axis of steps above and on a"
        " linear one below. Thin lines are replicas, thick lines their median. Marks show the median step at which"
        " training examples were memorised (t_m), validation accuracy left its plateau (t_o) and generalisation was"
        " complete (t_g). What looks like a jump on the log axis takes a large part of training on the linear one.",
        "measure",
        ("accuracy", "loss"),
    ),
    "saliency_histogram": Figure(
        "Histogram of saliency over training",
        "Claim saliency_skew",
        ("events", "saliency", "distribution"),
        "Above, at every checkpoint, the histogram over the MLP units of the last layer of their mean |saliency| on"
        " training examples, relative to its mean over units, so that growing logits do not move it; darker means more"
        " units; all replicas together. Below, the same at t_m and in the late window [t_g, 1.5 t_g], with each"
        " replica at its own steps and random labels at its partner's. The hypothesis predicts that the right tail"
        " grows in grokking and not in random labels.",
        "dead units",
        ("excluded", "included"),
    ),
    "skewness": Figure(
        "Skewness over training",
        "Claim saliency_skew",
        ("events", "distribution"),
        "L-skewness over units of the mean |saliency|, in every condition. The hypothesis predicts that it rises in"
        f" grokking after t_m, beyond what it does in the controls. {BANDS}; marks are the median steps of grokking's"
        " events.",
        "dead units",
        ("excluded", "included"),
    ),
    "damage_curves": Figure(
        "Damage against the number of deleted units",
        "Claim topk_damage",
        ("events", "ablation"),
        "What is lost on training examples when k MLP units of the last layer are set to zero, in grokking: the k most"
        " salient, k random ones (mean over draws), the k least salient, and k matched to the most salient on"
        " activation norm (only where the layer has enough alike). D is the mean up to the dotted line, a quarter of"
        " the units. Margins are of logits divided by their scale at that checkpoint, since logits grow through"
        f" training. {BANDS}; one panel per moment of training.",
        "lost",
        ("accuracy", "margin"),
    ),
    "reliance": Figure(
        "Reliance on random and on salient units",
        "Claim topk_damage",
        ("events", "ablation"),
        "What is left on training examples when a share of the last layer's MLP units is set to zero: on the left"
        " random ones (mean over draws), of which memorising networks can spare fewer (Morcos et al. 2018); on the"
        " right those with the largest mean |saliency|, on which the hypothesis has generalising networks lean."
        " Grokking is shown at t_m (dashed) and in the middle of the late window, 1.25 t_g, each replica at its"
        f" nearest checkpoint, random labels and no delay at their partner's late steps. {BANDS}; dots mark where a"
        " mean has lost half of what the whole network has.",
        "lost",
        ("accuracy", "margin"),
    ),
    "excess_damage": Figure(
        "Excess damage over training",
        "Claim topk_damage",
        ("events", "damage"),
        "Excess damage D_top − D_random: what deleting the most salient units costs on training examples beyond"
        " deleting random ones, averaged over every k from 1 to a quarter of the units, in every condition. Margins are"
        " of logits divided by their scale at each checkpoint, since logits grow through training. The hypothesis"
        f" predicts that it rises in grokking, fastest between t_o and t_g. {BANDS}; marks are the median steps of"
        " grokking's events.",
        "lost",
        ("accuracy", "margin"),
    ),
    "progress_losses": Figure(
        "Restricted and excluded loss",
        "In the wild, components",
        ("events", "progress", "structure"),
        "Above, learning curves in grey (training dashed, validation solid; without examples whose answer is no"
        " element of the group) and what parts of the logits would do alone: restricted, on validation examples,"
        " what depends on nothing but the right answer, in the key frequencies of the last checkpoint; unseen, the"
        " same as those examples alone tell it that neither train nor have a mirror image that does, so that no"
        " memorised answer is in it; excluded, on training examples, all but the restricted part. Where a general"
        " circuit grows before it shows, unseen falls while validation loss does not. Below, Gini coefficients of"
        " the energies of the frequencies in the logits and in the embedding, and the share of MLP units tuned to"
        " one frequency, where the task's group is known."
        f" {BANDS}, of losses on their log scale; marks are the median steps of the condition's events.",
        "steps",
        ("training", "onset"),
    ),
    "reinforcement": Figure(
        "Which part an example's gradient reinforces",
        "In the wild, examples",
        ("events", "reinforcement"),
        "What one step of gradient descent on a training example does, to first order: to its own margin (solid),"
        " and to those of all other training examples together (dashed), which is in the mean also what all others"
        " do to it. Both are split into the part that unseen examples show (general) and the rest, and are over"
        " the whole of what the gradient does for its own example. The hypothesis has the general part reinforced"
        " by other examples, and a shallow circuit by its own alone, with the others overwriting it (below 0)."
        f" {BANDS}; marks are the median steps of the condition's events.",
    ),
    "learning_rates": Figure(
        "Other learning rates",
        "Claim learning_rate",
        ("conditions", "events", "metrics"),
        "Above, accuracies in branches of grokking that change the learning rate and nothing else, by steps since they"
        " left it (grey: grokking before): training dashed, validation solid, a line per replica. Below, how many steps"
        " were left to generalise, each replica a dot (a triangle where it did not in the steps trained), lines through"
        " medians (Kaplan–Meier). By one account ten times the rate"
        " leaves a tenth of the steps (dotted); by the other training accuracy falls to validation accuracy, and both"
        " rise together.",
        claim="learning_rate",
    ),
    "decay_times": Figure(
        "Other weight decays",
        "Claim weight_decay",
        ("conditions", "events", "progress"),
        "Left, steps until grokking and conditions that differ from it in weight decay alone generalised: each"
        f" replica a dot, {CENSORED}. Right, branches at onset in which decay, or noise as large, moves the weights"
        " and nothing else does: the share that is lost of the part of training margins that unseen examples show"
        " (general), and of the rest (shallow); means over replicas and their 95 % intervals (Student's t).",
        claim="weight_decay",
    ),
    "batch_times": Figure(
        "Other batches",
        "Claim stochasticity",
        ("conditions", "events", "progress"),
        "Steps, and in the middle epochs, until grokking and conditions that differ from it in batch size alone"
        f" generalised: each replica a dot, {CENSORED}. Where a study has them, full batches with noise as large as"
        " that of batches, by their size. Right, branches at onset in which decay, or noise as large, moves the"
        " weights and nothing else does: the share that is lost of the part of training margins that unseen examples"
        " show (general), and of the rest (shallow).",
        claim="stochasticity",
    ),
    "accuracy_rise": Figure(
        "The rise on three clocks",
        "Claim gradual",
        ("metrics", "events"),
        "Accuracies of grokking's replicas, training dashed, on a log axis of steps, on a linear one, and against"
        " how far weights have travelled; in colour validation accuracy from 5 % to 95 % of its way from the plateau"
        " to 1. What is a jump on the left is a part of the time that can be read off on the right.",
        claim="gradual",
    ),
    "loss_floor": Figure(
        "Losses around the peak",
        "Claim validation_leads",
        ("metrics",),
        "Validation loss of grokking's replicas, and below training loss (grey) with its floor, the 10 % quantile of"
        " the seven evaluations around each. Shaded is the first nat that validation loss falls from its peak: the"
        " source has the floor stay where it is meanwhile.",
        claim="validation_leads",
    ),
    "confidence": Figure(
        "How sure of training examples",
        "Claim imperfect_confidence",
        ("conditions", "events", "metrics"),
        "Left, one minus the probability of the right answer on training examples: median and the tenths that are"
        " least and most sure, means of logarithms over replicas with 95 % intervals; dotted are the registered"
        " thresholds, to be read between t_m and t_o. Right, steps left to generalise in branches, each replica a"
        f" dot, {CENSORED_ALONG}.",
        claim="imperfect_confidence",
    ),
    "fraction_times": Figure(
        "More examples, fewer steps",
        "Claim weight_decay",
        ("conditions", "events"),
        "Steps until grokking and the conditions that differ from it in how much trains, and in weight decay,"
        f" generalise: a dot per replica, {CENSORED}.",
        claim="weight_decay",
    ),
    "gradient_sources": Figure(
        "Where gradients come from",
        "Claim imperfect_confidence",
        ("deciles", "events"),
        "Grokking's training examples at each checkpoint in ten parts, from those whose label has the least probability"
        " (dark) to the surest (light): left, the mean of that probability, right, the norm of what each part adds to"
        " the gradient of mean cross-entropy. Lines are means over replicas, marks the median steps of events.",
        claim="imperfect_confidence",
    ),
    "bands": Figure(
        "Right first where x·y < p?",
        "Claim partial_generalisation",
        ("conditions", "split", "answers"),
        "Maps of one replica's examples, x to the right and y upwards, at the checkpoints nearest 10, 40, 70 and 95 %"
        " of the most validation accuracy that it comes to, which stands above: training examples grey, validation"
        " examples blue where right and white where wrong. At the right, validation accuracy by band, how many moduli"
        " the value has before reduction, in up to six groups of as many examples each: lowest dark, highest light;"
        " means over replicas, without zeros. Tokens have no order: bands can matter only to numbers.",
        claim="partial_generalisation",
    ),
    "late_examples": Figure(
        "Which examples are learnt late",
        "Claim partial_generalisation",
        ("split", "answers"),
        "Left, the share of grokking's training and validation examples that are right from a checkpoint on at all"
        f" later ones. {BANDS}. Right, the rank correlation of that step with how many training examples share an"
        " operand or the answer, and with equal operands: below 0, those with more neighbours are learnt earlier.",
        claim="partial_generalisation",
    ),
    "spike_effects": Figure(
        "What spikes do",
        "Claim spikes",
        ("losses", "spikes", "spike_effects"),
        "Left, both losses of grokking's first replicas at every step from t_m on: triangles are spikes of the training"
        " loss, strokes the quiet windows beside those that were looked into. Right, what the share of training margins"
        " that unseen examples show gains from 50 steps before to 200 after: in spikes, after random kicks of the"
        " weights that raise the training loss as much, and in quiet windows. Dots are windows, diamonds means over"
        " replicas with 95 % intervals.",
        claim="spikes",
    ),
    "mirror_images": Figure(
        "Mirror images",
        "Claim commutativity",
        ("conditions", "events", "metrics"),
        "Accuracy in conditions that are split by example, of validation examples (a, b) whose mirror image (b, a)"
        f" trains, and of the others; training in grey. {BANDS}; marks are the median steps of the condition's"
        " events.",
        claim="commutativity",
    ),
    "unregularised": Figure(
        "Without regularisation",
        "Claim no_regularisation",
        ("conditions", "metrics"),
        "Accuracies of full batches without weight decay, by optimiser, precision and loss: training dashed, validation"
        " solid, a line per replica. A curve that has not risen by its end has not risen within so many steps.",
        claim="no_regularisation",
    ),
    "toy_contributions": Figure(
        "What circuits contribute",
        "Toy duels",
        ("toy",),
        "The source's toy example, attention heads planted by hand and trained by SGD on all pairs: what the general"
        " circuit and a pair's own shallow one add to the pair's right logit. Columns are how many pairs the general"
        " circuit covers, rows weight decay. Dotted black is gradient flow, derived in docs/duels.md: without decay the"
        " general circuit outgrows, with decay it replaces.",
        "attention",
        ("linear", "softmax"),
    ),
    "takeover_time": Figure(
        "How long a takeover takes",
        "Toy duels",
        ("toy",),
        "Steps until the general circuit gives over 0.6 of what both kinds add to right logits, against how many pairs"
        " it covers, by update rule and weight decay, on all pairs at once. Points above the dashed line did not get so"
        " far within training. Dotted black is gradient flow.",
        "attention",
        ("linear", "softmax"),
    ),
    "toy_factors": Figure(
        "What else decides",
        "Toy duels",
        ("toy",),
        "The general circuit's share in the first pair's right logit at the end of training, where it covers all pairs:"
        " by pairs per step, their order, its share at the start, and how often the first pair is shown for once of"
        " another; in that panel open marks are the other pairs. If it is reinforcement per step that decides, the pair"
        " shown more often favours its own shallow circuit, and the others the general one. Bars are 95 % intervals"
        " over orders of batches (Student's t).",
        "attention",
        ("linear", "softmax"),
    ),
    "planted_shares": Figure(
        "Planted duels over time",
        "Claim takeover",
        ("planted",),
        "A generaliser against K memorisers of a part of the training examples each, whose logits add; both give half"
        " of every margin at the start, and the sum trains. Above, the general side's share; grey dotted lines are the"
        " null controls: two generalisers, two memorisers, and a network against its own copy. Below, what both sides"
        f" give, the generaliser solid and the memorisers dashed. {BANDS}.",
    ),
    "duel_phases": Figure(
        "Who wins, by decay and coverage",
        "Claim takeover",
        ("planted", "toy"),
        "The general side's share at the end of a duel, mean over replicas: blue where it is ahead, red where it is"
        " behind. Above, planted duels by the number of memorisers that the training examples are split among; below,"
        " toys by how many pairs the general circuit covers, with linear attention unless only softmax was asked for.",
    ),
    "decay_effects": Figure(
        "What decay takes, and what updates give back",
        "Claim weight_decay",
        ("planted", "progress"),
        "Above, planted duels with decay: what a step does to each side's part in the margins, split into what"
        " decay does by itself and what the update does without it, on examples outside its batch and in it."
        " Below, ordinary training: the relative change of the part of training margins that unseen examples show,"
        " and of the rest, when all weights shrink by the same small share, where it is over a tenth of the"
        " margin. The source has decay degrade shallow circuits more. In networks whose logits are homogeneous in"
        " the weights, as the default duels' perceptrons are, it degrades all alike, and what differs is what"
        f" updates give back; transformers are not so. {BANDS}.",
    ),
    "forgetting": Figure(
        "What updates on other examples do",
        "Claim forgetting",
        ("planted",),
        "Above, a tenth of the training examples stays away (grey) and comes back: each side's part in their margins,"
        " relative to the start. Below, T: what a step does to a module's part in the margins of examples outside"
        " its batch, relative to that part and without decay, by the number of memorisers. The source has shallow"
        f" circuits decay where their example is missing, and general ones not. No weight decay. {BANDS}.",
    ),
    "growth": Figure(
        "Does generality predict growth?",
        "In the wild, neurons",
        ("events", "updates"),
        "How a neuron of the last layer grows from one checkpoint to the next, 100 steps later or more, by what"
        " it is at the first: on how many training examples it is salient (generality), how large its saliency and"
        " its weights are, and for how long its saliency has been above the layer's median (age). Above, growth of"
        " the log of the norm of its weights (in times out), or of its saliency, in each fifth of a checkpoint's"
        " neurons by generality, from the mean over all. Below, slopes of one regression on all four, so that the"
        " others are held, and in the last row of one on generality alone, per standard deviation among the"
        " neurons of the same checkpoint. Lines and dots are means over replicas, bands and bars the 95 % interval"
        " of that mean (Student's t). Panels, each row with its own scale, are phases of grokking, before and"
        " after its training examples were memorised (t_m), validation accuracy left its plateau (t_o) and"
        " generalisation was complete (t_g); other conditions are shown at their partner's steps. The hypothesis"
        " predicts that generality's slope is above 0, given saliency, norm and age, in grokking's plateau and"
        " onset.",
        "growth of",
        ("weights", "saliency"),
    ),
}

DRAWINGS = {f"{name}-{view}": (name, view) for name, figure in FIGURES.items() for view in figure.views}
"""Every file stem, and which figure in which view it holds."""


def drawings(absent: Collection[str], lacking: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """Those of a study that has none of these tables, and lacks something that these claims need."""
    return {
        drawing: found
        for drawing, found in DRAWINGS.items()
        if not set(absent) & set(FIGURES[found[0]].tables) and FIGURES[found[0]].claim not in lacking
    }


FRONT_PAGE = ("learning_curves-accuracy", "forest-all", "saliency_histogram-excluded", "excess_damage-accuracy")
"""The drawings that tell a study in one screen."""
