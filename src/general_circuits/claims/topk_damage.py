"""Claim: deleting the most salient neurons damages more and more of the network's predictions.

Registered before any result was seen:

- D is the mean loss of training accuracy over every k from 1 to a quarter of the last layer's units. Deleted units are
  set to zero, and ranked by mean |saliency| on training examples. The excess is D_top − D_random, the latter averaged
  over the draws.
- In the first version D was the area of trapezoids between about twenty k on a log axis. Each k cost a run of the
  network then, and the area approximates the same mean. Now that the entire curve is measured, D is the mean itself.
- The rise of D_top, or of the excess, is its median over the late window minus its value at t_m. Its rates are changes
  per step over [t_o, t_g], and over windows of equal length before t_o and after t_g. A window that would begin before
  t_m, or end after training, is shortened.
- Supported only if all six intervals lie above 0: both rise, and both rise faster within [t_o, t_g] than before and
  than after. The p-value is the largest of the six, where one with a mean that is not positive counts as 1.
- Contradicted if the interval of either rise lies below 0. p is twice the smallest of those that fall.
- The estimate shown is the one that the verdict rests on. It is the rise of the excess, or the rise of damage itself
  where that contradicts the claim. In the first version it was always the excess. It was changed before the study's
  present setting was measured.
- Because the estimate is chosen so, its interval misses the truth in at most 7.5 % instead of 5 %. The intervals of the
  two rises, which stand beside it, miss 5 %.
- Beside it: each of the six; the excess over the bottom k, and over k matched on activation norm; and the rise in each
  control, at its partner's steps.
- Also beside it: the same rise of the lost margin, in logits and at matched logit scale, since logits grow through
  training.
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
    """Return the rate of change within [t_o, t_g] minus that of an equally long window before it, from t_m at most."""
    onset, generalised = steps["onset"], steps["generalised"]
    start = max(onset - (generalised - onset), steps["memorised"])
    return _rate(series, onset, generalised) - _rate(series, start, onset)


def rate_against_after(series: pd.Series, steps: Mapping[str, float]) -> float:
    """Return the rate of change within [t_o, t_g] minus that of an equally long window after it, to the end at most."""
    onset, generalised = steps["onset"], steps["generalised"]
    end = min(generalised + (generalised - onset), series.index.max() if len(series) else np.nan)
    return _rate(series, onset, generalised) - _rate(series, generalised, end)


def _rate(series: pd.Series, start: float, end: float) -> float:
    """Return the change per 1,000 steps; NaN for a window that is empty or has an unknown end."""
    return 1000 * (value_at(series, end) - value_at(series, start)) / (end - start) if end > start else float("nan")


def _registered(six: Mapping[str, estimates.Estimate], replicas: int) -> Finding:
    damage_rise, excess_rise = six["damage rise"], six["excess damage rise"]
    falls = [rise for rise in (damage_rise, excess_rise) if rise.n >= ENOUGH_REPLICAS and rise.high < 0]
    failing = [name for name, estimate in six.items() if not estimate.low > 0]
    if falls:
        # Where both fall, the one with the smaller p is shown.
        shown = min(falls, key=lambda rise: rise.p_value)
        verdict, p_value = CONTRADICTED, min(1.0, 2 * shown.p_value)
        outcome = f"{'damage' if shown is damage_rise else 'the excess'} fell"
    else:
        # A mean on the wrong side is no evidence, however small its p. The maximum is NaN if any p is NaN.
        p_value = float(np.max([np.maximum(e.p_value, 0.0 if e.mean > 0 else 1.0) for e in six.values()]))
        shown, verdict, outcome = excess_rise, UNDECIDED, f"no increase is shown in {', '.join(failing)}"
        if any(estimate.n < ENOUGH_REPLICAS for estimate in six.values()):
            outcome = "too few replicas to say"
        elif not failing:
            verdict, outcome = SUPPORTED, "both rose, faster while generalising than before and after"
    sentence = (
        f"From t_m to the late window, the training accuracy lost by deleting the most salient neurons changed by"
        f" {written(damage_rise)}. Its excess over the loss by deleting random neurons changed by"
        f" {written(excess_rise)}: {outcome}. Over {counted(shown.n, replicas)}."
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
    """Return the rise of the excess damage, and of damage itself, under every ranking by saliency.

    It reads the table `specified_damage`.
    """
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
