"""Does deleting the most salient neurons damage more and more of the network's predictions?

Registered before any result was seen:

- D is the mean loss of training accuracy over every k from 1 to a quarter of the last layer's units, deleted units set
  to zero, ranked by mean |saliency| on training examples. Excess is D_top − D_random, the latter averaged over the
  draws. (In the first version D was the area of trapezoids between some twenty k on a log axis, since each k cost a run
  of the network: an approximation of the same mean. Now that the whole curve is measured, it is taken literally.)
- The rise of D_top, or of the excess, is its median over the late window minus its value at t_m. Its rates are changes
  per step over [t_o, t_g] and over windows of equal length before t_o and after t_g; a window that would begin before
  t_m or end after training is shortened to what there is.
- Supported only if all six intervals lie above 0: both rise, and both rise faster within [t_o, t_g] than before and
  than after. Its p is the largest of the six, where one whose mean is not positive counts as 1.
- Contradicted if the interval of either rise lies below 0. Its p is twice the smallest of those that fall.
- The estimate shown is the rise of the excess or, where it is damage itself that contradicts the claim, the rise of
  that: a verdict's estimate is the one it rests on. (In the first version it was always the excess; changed for this
  reason before the setting that the study now has was measured.) Chosen so, an interval misses at most 7.5 % instead of
  5; those of the two rises, which stand beside it, miss 5.
- Beside it: every one of the six, the excess over the bottom k and over k matched on activation norm, the same rise of
  lost margin, in logits and at matched logit scale (since logits grow through training), and the rise in each control
  at its partner's steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import damage, estimates
from general_circuits.analysis.windows import Contrast, change_to_late_window, over_replicas, steps_of_events, value_at
from general_circuits.claims.findings import (
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    counted,
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

UNIT = "share of training accuracy"
RATE = f"{UNIT} per 1,000 steps"
SCALES = "logit scales"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `events` and `damage` tables of grokking and its controls."""
    areas = damage.areas(tables["damage"])
    steps = steps_of_events(tables["events"], "grokking")

    def estimated(condition: str, column: str, contrast: Contrast) -> estimates.Estimate:
        here = areas[areas["condition"] == condition]
        return estimates.estimate(over_replicas(here, column, steps, contrast))

    six = {
        f"{what} {name}": estimated("grokking", column, contrast)
        for name, contrast in (
            ("rise", change_to_late_window),
            ("rate while generalising minus before", rate_against_before),
            ("rate while generalising minus after", rate_against_after),
        )
        for what, column in (("damage", "top"), ("excess damage", "excess"))
    }
    controls = [name for name in tables["damage"]["condition"].cat.categories if name != "grokking"]
    rows = [
        *((contrast, RATE if " rate " in contrast else UNIT, estimate) for contrast, estimate in six.items()),
        *(
            (contrast, unit, estimated(condition, column, change_to_late_window))
            for contrast, unit, condition, column in (
                ("excess over the bottom k, rise", UNIT, "grokking", "over_bottom"),
                ("excess over k matched on activation norm, rise", UNIT, "grokking", "over_matched"),
                ("excess loss of margin, rise", "logits", "grokking", "margin_excess"),
                ("excess loss of margin at matched logit scale, rise", SCALES, "grokking", "matched_margin_excess"),
                *((f"excess damage rise in {control}", UNIT, control, "excess") for control in controls),
            )
        ),
    ]
    findings = [_registered(six, len(steps))]
    for contrast, unit, estimate in rows:
        findings.append(Finding(contrast, unit, estimate, f"{contrast[0].upper()}{contrast[1:]}: {written(estimate)}."))
    return findings


def rate_against_before(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Rate of change within [t_o, t_g] minus that of as long a window before it, not before t_m."""
    onset, generalised = steps["onset"], steps["generalised"]
    start = max(onset - (generalised - onset), steps["memorised"])
    return _rate(series, onset, generalised) - _rate(series, start, onset)


def rate_against_after(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Rate of change within [t_o, t_g] minus that of as long a window after it, not after the last checkpoint."""
    onset, generalised = steps["onset"], steps["generalised"]
    end = min(generalised + (generalised - onset), series.index.max() if len(series) else np.nan)
    return _rate(series, onset, generalised) - _rate(series, generalised, end)


def _rate(series: pd.Series, start: float, end: float) -> float:
    """Change per 1,000 steps; NaN for an empty or unknown window."""
    return 1000 * (value_at(series, end) - value_at(series, start)) / (end - start) if end > start else float("nan")


def _registered(six: Mapping[str, estimates.Estimate], replicas: int) -> Finding:
    damage_rise, excess_rise = six["damage rise"], six["excess damage rise"]
    falls = [rise for rise in (damage_rise, excess_rise) if rise.n >= ENOUGH_REPLICAS and rise.high < 0]
    failing = [name for name, estimate in six.items() if not estimate.low > 0]
    if falls:
        # Where both fall, the one that is shown with less doubt.
        shown = min(falls, key=lambda rise: rise.p_value)
        verdict, p_value = CONTRADICTED, min(1.0, 2 * shown.p_value)
        outcome = f"{'damage' if shown is damage_rise else 'the excess'} fell"
    else:
        # The maximum is NaN if any has no p.
        p_value = float(np.max([np.maximum(e.p_value, 0.0 if e.mean > 0 else 1.0) for e in six.values()]))
        shown, verdict, outcome = excess_rise, UNDECIDED, f"not shown: {', '.join(failing)}"
        if any(estimate.n < ENOUGH_REPLICAS for estimate in six.values()):
            outcome = "too few replicas to say"
        elif not failing:
            verdict, outcome = SUPPORTED, "both rose, faster while generalising than before and after"
    sentence = (
        f"From memorised to the late window, the training accuracy lost to deleting the most salient neurons changed by"
        f" {written(damage_rise)}, and what it exceeds that lost to random ones by {written(excess_rise)}: {outcome}."
        f" Over {counted(shown.n, replicas)}."
    )
    return Finding(REGISTERED, UNIT, dataclasses.replace(shown, p_value=p_value), sentence, verdict)


CHOICES = ("method", "target", "normalisation", "statistic", "layer", "split", "dead_units", "deletion")
REGISTERED_CHOICES = {
    **REGISTERED_SALIENCY,
    "dead_units": "included",
    "deletion": "zero",
    "control": "random_units",
}


def specify(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rise of the excess damage, and of damage itself, under every ranking by saliency; from `specified_damage`."""
    steps = steps_of_events(tables["events"], "grokking")
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
        threshold=0.0,
    )
