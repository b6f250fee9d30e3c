"""Claim: deleting the most salient neurons damages more and more of the network's predictions.

Three parts, registered before their results were seen:

- D is the mean loss of training accuracy over every k from 1 to a quarter of the last layer's units. Deleted units are
  set to zero, and ranked by mean |saliency| on training examples. The excess is D_top − D_random, the latter averaged
  over at least 20 draws.
- damage: the rise of D_top is its median over the late window minus its value at t_m. Supported above 0.05, a twentieth
  of the training accuracy; contradicted below 0.
- excess: the same for the excess.
- timing: both rise faster within [t_o, t_g] than in windows of equal length before t_o and after t_g. These are four
  contrasts of rates, in changes per step; the least favourable one decides. Supported above 0, contradicted below. A
  window that would begin before t_m, or end after training, is shortened.
- The weights at t_m, t_o, t_g and at the ends of these windows are made by a replay. In the first version values there
  were interpolated between checkpoints; at step 50 the network had not memorised yet. That version also had one verdict
  for all three parts, and showed the estimate that decided.
- Preconditions, in at least four fifths of the replicas: the replica memorised, and generalised after a delay; and its
  training accuracy at t_m, with no neuron deleted, is at least 0.99.
- Beside it: each rate; the excess over the bottom k, and over k matched on activation norm; the rise in each control,
  at its partner's moments, and grokking's rise beyond it; and every condition's training accuracy at its baseline.
- Also beside it: the same rise of the lost margin, in logits and at matched logit scale, since logits grow through
  training.
- A replica whose training ended within the late window is judged on the part that it has; the sentence counts these.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import damage, moments, preconditions
from general_circuits.analysis.decisions import Decision, Rule, decide, least_favourable
from general_circuits.analysis.estimates import Array
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import Contrast, change_to_late_window, over_replicas, value_at
from general_circuits.claims.baselines import accuracies, late_windows_cut
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    not_testable,
    outcome,
    part,
    primary,
    written,
)
from general_circuits.claims.specifications import (
    NONE,
    REGISTERED_SALIENCY,
    changes,
    options_of,
    specifications,
    with_layers,
)

RISE, FASTER = Rule(0.05, 0.0), Rule(0.0, 0.0)
UNIT = "share of training accuracy"
RATE = f"{UNIT} per 1,000 steps"
SCALES = "logit scales"
PARTS = {"damage": "top", "excess": "excess"}
"""Parts on the rise of one column of `damage.areas`."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `moments` and `damage` tables of grokking and its controls."""
    areas, table = damage.areas(tables["damage"]), tables["moments"]
    # A replica that never memorised has no moments, and counts all the same.
    replicas = pd.Index(areas.loc[areas["condition"] == BASE, "replica"].unique()).sort_values()

    def values(condition: str, column: str, contrast: Contrast) -> Array:
        """Return one number per replica of grokking, NaN where there is none."""
        steps = moments.steps_of(table, condition).reindex(replicas)
        return over_replicas(areas[areas["condition"] == condition], column, steps, contrast)

    rates = {
        f"rate of {name} while generalising minus {when}": values(BASE, column, contrast)
        for name, column in PARTS.items()
        for when, contrast in (("before", rate_against_before), ("after", rate_against_after))
    }
    rises = {name: values(BASE, column, change_to_late_window) for name, column in PARTS.items()}
    reason, cut = _unmet(table, replicas), late_windows_cut(table)
    if reason:
        findings = [not_testable(reason, part(name)) for name in (*PARTS, "timing")]
    else:
        findings = [_rise(name, decide(rise, RISE), cut) for name, rise in rises.items()]
        findings.append(_timing(least_favourable(rates, FASTER)))
    findings += [beside(contrast, RATE, rate) for contrast, rate in rates.items()]
    for contrast, unit, column in (
        ("excess over the bottom k, rise", UNIT, "over_bottom"),
        ("excess over k matched on activation norm, rise", UNIT, "over_matched"),
        ("excess loss of margin, rise", "logits", "margin_excess"),
        ("excess loss of margin at matched logit scale, rise", SCALES, "matched_margin_excess"),
    ):
        findings.append(beside(contrast, unit, values(BASE, column, change_to_late_window)))
    measured = [name for name in tables["damage"]["condition"].cat.categories if name in set(table["condition"])]
    for control in measured:
        if control != BASE:
            for name, column in PARTS.items():
                rise = values(control, column, change_to_late_window)
                findings.append(beside(f"rise of {name} in {control}", UNIT, rise))
                findings.append(beside(f"rise of {name}, minus {control}", UNIT, rises[name] - rise))
    return [*findings, *accuracies(table, measured)]


def rate_against_before(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Return the rate of change within [t_o, t_g] minus that of an equally long window before it, from t_m at most."""
    return _rate(series, steps["onset"], steps["generalised"]) - _rate(series, steps["before"], steps["onset"])


def rate_against_after(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Return the rate of change within [t_o, t_g] minus that of an equally long window after it, to the end at most."""
    return _rate(series, steps["onset"], steps["generalised"]) - _rate(series, steps["generalised"], steps["after"])


def _rate(series: pd.Series, start: float, end: float) -> float:
    """Return the change per 1,000 steps; NaN for a window that is empty or has an unknown end."""
    return 1000 * (value_at(series, end) - value_at(series, start)) / (end - start) if end > start else float("nan")


def _unmet(table: pd.DataFrame, replicas: pd.Index) -> str:
    """Return the precondition that fails, in words; empty if none does."""
    steps = moments.steps_of(table, BASE).reindex(replicas)
    has_baseline = moments.accuracy_at(table, BASE).reindex(replicas) >= preconditions.MEMORISED
    return preconditions.unmet(
        {**preconditions.grokked(steps), "training accuracy at t_m was 0.99 or more": has_baseline}
    )


def _rise(name: str, decision: Decision, cut: str) -> Finding:
    what = {
        "damage": "the training accuracy lost by deleting the most salient neurons",
        "excess": "the excess of this loss over the loss by deleting random neurons",
    }[name]
    words = {
        SUPPORTED: "it rises by more than 0.05",
        CONTRADICTED: "it falls",
        BETWEEN: "it rises, but by less than 0.05",
        UNDECIDED: "neither a rise by 0.05 nor a fall is shown",
    }
    sentence = (
        f"From t_m to the late window, {what} changed by {written(decision.estimate)}: {outcome(decision, words)}.{cut}"
    )
    return primary(part(name), UNIT, decision, sentence)


def _timing(decision: Decision) -> Finding:
    words = {
        SUPPORTED: "damage and excess rise faster while generalising than before and after",
        CONTRADICTED: "it does not rise faster then",
        UNDECIDED: "it is not shown to rise faster or slower then",
    }
    sentence = (
        f"The least favourable of four comparisons is the {decision.contrast}: {written(decision.estimate)} of the"
        f" training accuracy per 1,000 steps: {outcome(decision, words)}."
    )
    return primary(part("timing"), RATE, decision, sentence)


CHOICES = ("method", "target", "normalisation", "statistic", "layer", "split", "dead_units", "deletion")
REGISTERED_CHOICES = {
    **REGISTERED_SALIENCY,
    "dead_units": "included",
    "deletion": "zero",
    "control": "random_units",
}


def specify(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the rise of the excess damage, and of damage itself, under every ranking by saliency.

    It reads the table `specified_damage`.
    """
    steps = moments.steps_of(tables["moments"], BASE)
    frame = with_layers(tables["specified_damage"]).rename(columns={"by": "statistic"})
    frame = frame[frame["condition"] == "grokking"]
    where = ["replica", "step", "layer", "split", "dead_units", "deletion"]
    is_random = frame["ranking"] == "random"
    random = frame[is_random].groupby(where, observed=True, as_index=False)["area"].mean()
    top = frame[(frame["ranking"] == "top") & (frame["method"] != NONE)]
    top = top.merge(random.rename(columns={"area": "random"}), on=where, how="left")
    top = top.assign(excess=top["area"] - top["random"])
    return specifications(
        {"random_units": changes(top, "excess", CHOICES, steps), NONE: changes(top, "area", CHOICES, steps)},
        options_of(top, CHOICES),
        REGISTERED_CHOICES,
        {},
        "share of accuracy",
        RISE,
    )
