"""The report's figures. To add one, write a file beside this one, and list here what it reads and its caption."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure: its words, its place in the report, and the tables that it is drawn from.

    Attributes:
        title: its name in the report's list.
        category: heading under which the report lists it; the report sorts categories by name.
        tables: names of the tables that it reads.
        caption: explanation of what is drawn. Each run adds its own numbers.
        toggle: name of the one choice that a reader has; empty if there is none.
        views: both values of that choice, the registered one first; one value if there is no choice.
        claim: claim whose conditions alone it shows. If empty, it shows the study's conditions that are no branches
            and that are measured throughout.
    """

    title: str
    category: str
    tables: tuple[str, ...]
    caption: str
    toggle: str = ""
    views: tuple[str, ...] = ("all",)
    claim: str = ""


CENSORED = (
    "Each dot is a replica; a triangle did not generalise in the steps trained. Lines join medians (Kaplan–Meier)."
    " An open triangle is a bound: no replica generalised there"
)
CENSORED_ALONG = (
    "Each dot is a replica; an arrow did not generalise in the steps trained. Strokes are medians (Kaplan–Meier)"
)
BANDS = "Lines are means over replicas. Bands are the 95 % interval of that mean (Student's t)"
MARKS = "Marks are the median steps of grokking's events"
OWN_MARKS = "Marks are the median steps of the condition's events"
MOVED_ALONE = (
    "Right: branches at onset in which only decay, or only noise, moves the weights, in the end equally far. Shown is"
    " the share that is lost of two parts of training margins: general, which unseen examples show, and shallow, the"
    " rest"
)


FIGURES = {
    "forest": Figure(
        "Every claim and its controls",
        "All claims",
        ("claim",),
        "One panel per claim with data, or for each unit that the claim is judged in. Diamonds are registered"
        " contrasts, coloured by their verdict. Marks in their rows are thresholds: blue of support, orange of"
        " contradiction. Below stand the first other contrasts in the same unit. Lines are intervals over replicas"
        " (Student's t): 95 %, or somewhat more for registered contrasts, which allows for several looks at the data."
        " Changes are from t_m to the late window.",
    ),
    "specification_curve": Figure(
        "Specification curve",
        "Choices not registered",
        ("specification",),
        "Above: the claim's estimate under every combination of the choices that could have been made, in ascending"
        " order. Lines are 95 % intervals over replicas (Student's t); the widest may leave the panel. Colours say"
        " whether the whole interval lies above the claim's threshold of support, below its threshold of contradiction"
        " (dashed, or 0), or neither. The diamond is the registered combination. The striped stretch has the"
        " combinations without an estimate. Below: the options of each combination. If there are many combinations,"
        " darker means that more of those at that place have the option. At the right: the median estimate under each"
        " option, in the registered one's unit. The range is that of the medians over a choice's options; it is large"
        " where the choice matters. All combinations use the same networks, so their number is no evidence by itself.",
        "claim",
        ("saliency_skew", "topk_damage"),
    ),
    "learning_curves": Figure(
        "Learning curves",
        "Training",
        ("metrics", "events"),
        "Training examples (dashed) and validation examples (solid) in every condition. Steps are on a log axis above"
        " and on a linear axis below. Thin lines are replicas, thick lines their median, in which a"
        " replica that ended early keeps its last value. Marks show median steps:"
        " training examples are memorised at t_m, validation accuracy leaves its plateau at t_o, and generalisation is"
        " complete at t_g. What looks like a jump on the log axis takes a large part of training on the linear one.",
        "measure",
        ("accuracy", "loss"),
    ),
    "saliency_histogram": Figure(
        "Histogram of saliency over training",
        "Claim saliency_skew",
        ("events", "moments", "saliency", "distribution"),
        "Above: at every checkpoint, a histogram over the MLP units of the last layer, all replicas together. Darker"
        " means more units. The value is a unit's mean |saliency| on training examples, relative to its mean over"
        " units, so that growing logits do not move it. Below: the same at t_m and in the late window [t_g, 1.5 t_g]."
        " Each replica is read at its own steps, from weights that a replay made there; one of random labels is read at"
        " its partner's steps. The hypothesis"
        " predicts that the right tail grows in grokking and not in random labels.",
        "dead units",
        ("excluded", "included"),
    ),
    "skewness": Figure(
        "Skewness over training",
        "Claim saliency_skew",
        ("events", "moments", "distribution"),
        "L-skewness over units of the mean |saliency|, in every condition. The hypothesis predicts that it rises in"
        f" grokking after t_m, and more than in the controls. {BANDS}. {MARKS}.",
        "dead units",
        ("excluded", "included"),
    ),
    "damage_curves": Figure(
        "Damage against the number of deleted units",
        "Claim topk_damage",
        ("moments", "ablation"),
        "Accuracy or margin lost on training examples when k MLP units of the last layer are set to zero, in grokking."
        " Deleted are the k most salient units, k random ones (mean over draws), or the k least salient. Matched units"
        " have activation norms like the most salient ones; they are shown where the layer has enough of them. D is"
        " the mean up to the dotted line, a quarter of the units. Margins are of logits divided by their scale at that"
        f" checkpoint, since logits grow through training. {BANDS}. Each panel is one moment of training: each replica"
        " is read at its own step, from weights that a replay made there.",
        "lost",
        ("accuracy", "margin"),
    ),
    "reliance": Figure(
        "Reliance on random and on salient units",
        "Claim topk_damage",
        ("moments", "ablation"),
        "Accuracy or margin left on training examples when a share of the last layer's MLP units is set to zero. Left:"
        " random units (mean over draws); memorising networks can spare fewer of them (Morcos et al. 2018). Right: the"
        " units with the largest mean |saliency|; the hypothesis says that generalising networks lean on these."
        " Grokking is shown at t_m (dashed), from weights that a replay made there. It is also shown at the checkpoint"
        " nearest to the middle of the late window, 1.25 t_g. Random labels and no delay are shown at their partner's"
        f" late steps. {BANDS}. A dot marks where a mean has lost half of the whole network's value.",
        "lost",
        ("accuracy", "margin"),
    ),
    "excess_damage": Figure(
        "Excess damage over training",
        "Claim topk_damage",
        ("events", "moments", "damage"),
        "Excess damage D_top − D_random in every condition. It is the cost on training examples of deleting the most"
        " salient units, beyond the cost of deleting random ones. Each D is the mean over every k from 1 to a quarter"
        " of the units. Margins are of logits divided by their scale at each checkpoint, since logits grow through"
        " training. The hypothesis predicts that excess damage rises in grokking, fastest between t_o and t_g."
        f" {BANDS}. {MARKS}.",
        "lost",
        ("accuracy", "margin"),
    ),
    "progress_losses": Figure(
        "Restricted and excluded loss",
        "In the wild, components",
        ("events", "progress", "structure"),
        "Above: learning curves in grey (training dashed, validation solid), and the losses that parts of the logits"
        " would have alone. Examples whose answer is no element of the group are left out. Restricted is on validation"
        " examples. It is the part that depends on nothing but the right answer, in the key frequencies of the last"
        " checkpoint. Unseen is the same part, read only from examples that neither train nor have a mirror image that"
        " trains. It therefore holds no memorised answer. Excluded is on training examples: all but the restricted"
        " part. If a general circuit grows before it shows, unseen falls while validation loss does not. Below: Gini"
        " coefficients of the energies of the frequencies in the logits and in the embedding, and the share of MLP"
        f" units tuned to one frequency. They need a task whose group is known. {BANDS}; losses are averaged on their"
        f" log scale. {OWN_MARKS}.",
        "steps",
        ("training", "onset"),
    ),
    "reinforcement": Figure(
        "Which part an example's gradient reinforces",
        "In the wild, examples",
        ("events", "reinforcement"),
        "Effect of one step of gradient descent on a training example, to first order. Solid: on its own margin."
        " Dashed: on the margins of all other training examples together; on average this is also the effect of all"
        " others on it. Both are split into the part that unseen examples show (general) and the rest. Values are"
        " relative to the whole effect of the example's own gradient on its own margin. By the hypothesis, other"
        " examples reinforce the general part. A shallow circuit is reinforced by its own example alone, and the"
        f" others overwrite it (below 0). {BANDS}. {OWN_MARKS}.",
    ),
    "learning_rates": Figure(
        "Other learning rates",
        "Claim learning_rate",
        ("conditions", "events", "metrics"),
        "Above: accuracies in branches that change the learning rate and nothing else, by steps since the branch. Grey"
        " is the base before the branch: grokking, or grokking at a lower rate. Training is dashed, validation solid,"
        f" with a line per replica. Below: the steps left to generalise. {CENSORED}. By one account, ten times the rate"
        " leaves a tenth of the steps (dotted). By the other, training accuracy falls to validation accuracy, and both"
        " rise together.",
        claim="learning_rate",
    ),
    "decay_times": Figure(
        "Other weight decays",
        "Claim weight_decay",
        ("conditions", "events", "progress"),
        "Left: steps to generalise, for grokking and conditions that differ from it in weight decay alone."
        f" {CENSORED}. {MOVED_ALONE}. There, dots are means over replicas and lines their 95 % intervals (Student's"
        " t).",
        claim="weight_decay",
    ),
    "batch_times": Figure(
        "Other batches",
        "Claim stochasticity",
        ("conditions", "events", "progress"),
        "Left and middle: steps and epochs to generalise, for grokking and conditions that differ from it in batch"
        f" size alone. {CENSORED}. Some studies also have full batches with added noise as large as that of small"
        f" batches. They stand at the size of those batches. {MOVED_ALONE}.",
        claim="stochasticity",
    ),
    "accuracy_rise": Figure(
        "The rise on three clocks",
        "Claim gradual",
        ("metrics", "events"),
        "Accuracies of grokking's replicas (training dashed) on three clocks: log steps, linear steps, and the"
        " distance that weights have travelled. In colour: validation accuracy from 5 % to 95 % of its way from the"
        " plateau to 1. The jump on the left takes a share of the time that can be read off on the right.",
        claim="gradual",
    ),
    "loss_floor": Figure(
        "Losses around the peak",
        "Claim validation_leads",
        ("events", "losses"),
        "Losses of grokking's replicas at every step from t_m on (grey). Above: validation loss, with its running"
        " median over 51 steps. Below: training loss, with its floor, the running 10 % quantile. Shaded: the first nat"
        " that validation loss falls from its peak on the plateau, between 2 t_m and t_g. The source says that the"
        " floor stays where it is meanwhile.",
        claim="validation_leads",
    ),
    "confidence": Figure(
        "Confidence on training examples",
        "Claim imperfect_confidence",
        ("conditions", "events", "metrics"),
        "Left: one minus the probability of the right answer on training examples, for the median and for the least"
        " and the most sure tenth. Lines are means of logarithms over replicas, bands their 95 % intervals. Dotted"
        " lines are the registered thresholds, which hold between t_m and t_o. Right: steps left to generalise in"
        f" branches. {CENSORED_ALONG}.",
        claim="imperfect_confidence",
    ),
    "fraction_times": Figure(
        "More examples, fewer steps",
        "Claim weight_decay",
        ("conditions", "events"),
        "Steps to generalise, for grokking and the conditions that differ from it in the share of examples that trains"
        f" and in weight decay. {CENSORED}.",
        claim="weight_decay",
    ),
    "gradient_sources": Figure(
        "Where gradients come from",
        "Claim imperfect_confidence",
        ("deciles", "events"),
        "Grokking's training examples at each checkpoint in ten parts, by the probability of their label. Dark is the"
        " least sure part, light the surest. Left: the mean of that probability. Right: the norm of each part's"
        f" contribution to the gradient of mean cross-entropy. Lines are means over replicas. {MARKS}.",
        claim="imperfect_confidence",
    ),
    "bands": Figure(
        "Right first where x·y < p?",
        "Claim partial_generalisation",
        ("conditions", "split", "answers"),
        "Maps of one replica's examples, x to the right and y upwards. They are of the checkpoints nearest to 10, 40,"
        " 70 and 95 % of its highest validation accuracy; the accuracy stands above each map. Training examples are"
        " grey. Validation examples are blue where right and white where wrong. At the right: validation accuracy by"
        " band. An example's band says how often the modulus fits into its value before reduction. Lines are up to six"
        " groups of equally many examples, lowest dark, highest light, without zeros. They are means over replicas."
        " Tokens have no order, so bands can matter only to numbers.",
        claim="partial_generalisation",
    ),
    "late_examples": Figure(
        "Which examples are learnt late",
        "Claim partial_generalisation",
        ("split", "answers"),
        "Left: the share of grokking's training and validation examples that are right at a checkpoint and at all"
        f" later ones. {BANDS}. Right: rank correlations of the first such step with the number of training examples"
        " that share an operand or the answer, and with equal operands. Below 0, examples with more neighbours are"
        " learnt earlier.",
        claim="partial_generalisation",
    ),
    "spike_effects": Figure(
        "What spikes do",
        "Claim spikes",
        ("losses", "spikes", "spike_effects"),
        "Left: both losses of grokking's first replicas at every step from t_m on. Triangles are spikes of the"
        " training loss. Filled ones are on the plateau: from 2 t_m on, before t_g and before the first nat that"
        " validation loss falls. Strokes are the quiet windows beside the spikes that were measured, all on the"
        " plateau. Right: the gain, from 50 steps before to 200 after, of the share of training margins that unseen"
        " examples show. It is measured in spikes, in quiet windows, and after random kicks of the weights that raise"
        " the training loss as much. Dots are windows, diamonds means over replicas with 95 % intervals.",
        claim="spikes",
    ),
    "mirror_images": Figure(
        "Mirror images",
        "Claim commutativity",
        ("conditions", "events", "metrics"),
        "Accuracy in conditions that are split by example. One line has the validation examples (a, b) whose mirror"
        f" image (b, a) trains, another the other validation examples. Training examples are grey. {BANDS}."
        f" {OWN_MARKS}.",
        claim="commutativity",
    ),
    "unregularised": Figure(
        "Without regularisation",
        "Claim no_regularisation",
        ("conditions", "events", "metrics"),
        "Accuracies of full batches without weight decay, by optimiser, precision and loss. Training is dashed,"
        " validation solid, with a line per replica. The dotted line is at five times grokking's median t_g. Up to"
        " about there gains count; a curve that ends before may still rise.",
        claim="no_regularisation",
    ),
    "toy_contributions": Figure(
        "What circuits contribute",
        "Toy duels",
        ("toy",),
        "The source's toy example: attention heads planted by hand and trained by SGD on all pairs. Shown is what the"
        " general circuit and a pair's own shallow circuit add to the pair's right logit. Columns are the number of"
        " pairs that the general circuit covers, rows weight decay. Dotted black is gradient flow, derived in"
        " docs/duels.md. Without decay the general circuit outgrows the shallow ones; with decay it replaces them.",
        "attention",
        ("linear", "softmax"),
    ),
    "takeover_time": Figure(
        "How long a takeover takes",
        "Toy duels",
        ("toy",),
        "Steps until the general circuit gives over 0.6 of what both kinds add to right logits, by the number of pairs"
        " that it covers. Panels are update rules, lines weight decays; every step has all pairs. Points above the"
        " dashed line did not get so far within training. Dotted black is gradient flow.",
        "attention",
        ("linear", "softmax"),
    ),
    "toy_factors": Figure(
        "Other factors in toy duels",
        "Toy duels",
        ("toy",),
        "The general circuit's share in the first pair's right logit at the end of training, where it covers all"
        " pairs. Panels vary the pairs per step, their order, and the share at the start. The last panel varies how"
        " often the first pair is shown for once of another; its open marks are the other pairs. Suppose reinforcement"
        " per step decides. Then the pair shown more often favours its own shallow circuit, and the others the general"
        " one. Bars are 95 % intervals over orders of batches (Student's t).",
        "attention",
        ("linear", "softmax"),
    ),
    "planted_shares": Figure(
        "Planted duels over time",
        "Claim takeover",
        ("planted",),
        "A generaliser against K memorisers, each of a part of the training examples. Their logits add, both sides"
        " give half of every margin at the start, and the sum trains. Above: the general side's share. Grey dotted"
        " lines are the null controls, in shorter duels: two generalisers, two memorisers, and a network against its"
        " own copy. Duels of generaliser and memorisers last until their shares settle. Below:"
        f" both sides' parts in the margin, the generaliser solid and the memorisers dashed. {BANDS}.",
    ),
    "duel_phases": Figure(
        "Who wins, by decay and coverage",
        "Claim takeover",
        ("planted", "toy"),
        "The general side's share at the end of a duel, mean over replicas. It is blue where the general side is"
        " ahead, red where it is behind. Above: planted duels, by the number of memorisers that share the training"
        " examples. Below: toys, by the number of pairs that the general circuit covers. Toys have linear attention"
        " unless the study has only softmax.",
    ),
    "decay_effects": Figure(
        "What decay takes, and what updates give back",
        "Claim weight_decay",
        ("planted", "progress"),
        "Above: planted duels with decay. Shown is what a step does to each side's part in the margins. It is split"
        " into decay by itself, the update on examples outside its batch, and the update on examples in it. Below:"
        " ordinary training, when all weights shrink by the same small share. Shown is the relative change of the part"
        " of training margins that unseen examples show, and of the rest. Parts under a tenth of the margin are left"
        " out. The source says that decay degrades shallow circuits more. The default duels' perceptrons have logits"
        " that are homogeneous in the weights. There decay degrades all alike, and only what updates give back"
        f" differs. Transformers are not homogeneous. {BANDS}.",
    ),
    "forgetting": Figure(
        "What updates on other examples do",
        "Claim forgetting",
        ("planted",),
        "Above: a tenth of the training examples stays away (grey) and comes back. Lines are each side's part in their"
        " margins, relative to the start. Below: T, the effect of a batch's gradient on a module's part in the margins"
        " of examples outside the batch. Momentum carries no earlier gradients into it. T is relative to that part, by"
        " the number of memorisers. A single memoriser serves all examples, so it is the control. The source says that"
        " shallow circuits decay where their example is missing, and that general ones do not. There is no weight"
        f" decay. {BANDS}.",
    ),
    "growth": Figure(
        "Does generality predict growth?",
        "In the wild, neurons",
        ("events", "updates"),
        "Growth of a last-layer neuron from one checkpoint to another at least 100 steps later, by four of its"
        " properties at the first. Generality is the number of training examples on which it is salient. The others"
        " are its saliency, the norm of its weights, and its age: for how long its saliency has been above the layer's"
        " median. Growth is of the log of the norm of its weights (in times out), or of its saliency. Above: growth in"
        " each fifth of a checkpoint's neurons by generality, from the mean over all. Below: slopes of one regression"
        " on all four properties, per standard deviation among the neurons of the same checkpoint. The last row is a"
        " regression on generality alone. Lines and dots are means over replicas. Bands and bars are the 95 % interval"
        " of that mean (Student's t). Panels are the phases of grokking between t_m, t_o and t_g, and each row has its"
        " own scale. Training examples are memorised at t_m, validation accuracy leaves its plateau at t_o, and"
        " generalisation is complete at t_g. Other conditions are shown at their partner's steps. The hypothesis"
        " predicts that generality's slope, given the other three, is above 0 in grokking's plateau and onset.",
        "growth of",
        ("weights", "saliency"),
    ),
}

DRAWINGS = {f"{name}-{view}": (name, view) for name, figure in FIGURES.items() for view in figure.views}
"""Figure and view of each drawing, by the stem of its file."""

FRONT_PAGE = ("learning_curves-accuracy", "forest-all", "saliency_histogram-excluded", "excess_damage-accuracy")
"""Drawings on the report's front page, which tell a study in one screen."""
