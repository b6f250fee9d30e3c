"""The figures of the report. A new one is a file beside this one and an entry here: what it reads, and its caption."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure: the claim or stage it belongs to, the tables it reads, and what a reader sees in it."""

    title: str
    category: str
    tables: tuple[str, ...]
    caption: str


FIGURES = {
    "learning_curves": Figure(
        "Learning curves",
        "Training",
        ("metrics", "events"),
        "Accuracy on training (dashed) and validation examples (solid) in every condition, on a log axis of steps above"
        " and on a linear one below. Thin lines are replicas, thick lines their median, bands their range. Marks show"
        " the median step at which training examples were memorised (t_m), validation accuracy left its plateau (t_o)"
        " and generalisation was complete (t_g). What looks like a jump on the log axis takes a large part of training"
        " on the linear one.",
    ),
    "saliency_histogram": Figure(
        "Histogram of saliency over training",
        "saliency_skew",
        ("events", "saliency", "distribution"),
        "Above, at every checkpoint, the histogram over the alive MLP units of the last layer of their mean |saliency|"
        " on training examples, relative to its mean over units, so that growing logits do not move it; darker means"
        " more units; all replicas together. Below, its L-skewness per replica and their median, with dead units"
        " excluded (solid) and included (dotted). The hypothesis predicts that the right tail grows after t_m in"
        " grokking and not in random labels.",
    ),
    "damage_curves": Figure(
        "Damage against the number of deleted units",
        "topk_damage",
        ("events", "ablation"),
        "Training accuracy lost when k MLP units of the last layer are set to zero, in grokking: the k most salient,"
        " k random ones (mean over draws), the k least salient, and k matched to the most salient on activation norm"
        " (drawn only where the layer has enough alike). Lines are means over replicas, bands their range; one panel"
        " per moment of training.",
    ),
    "damage_and_skew": Figure(
        "Excess damage and skewness over training",
        "topk_damage",
        ("events", "ablation", "distribution"),
        "All conditions together. Above, the excess damage D_top − D_random: training accuracy lost to deleting the"
        " most salient units beyond that lost to random ones, averaged over k from 1 to a quarter of the units. Below,"
        " the L-skewness over alive units of the mean |saliency|. Lines are means over replicas, bands their range,"
        " marks the median steps of grokking's events.",
    ),
}
