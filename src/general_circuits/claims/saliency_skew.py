"""Claim: the histogram of the neurons' saliency becomes more right-skewed as the network generalises.

Registered before any result was seen:

- The surrogate that decides is L-skewness, over alive units of the last layer, of the mean |saliency| on training
  examples. Its change is the median over the late window minus the value at t_m. The same change in random labels of
  the same replica, read at the same steps, is subtracted.
- Supported where the interval is above 0.05, contradicted where it is below −0.05. p is against the threshold.
- The literal row is the moment skewness of the median of the signed saliency, dead units included. It is degenerate
  where more than half of the medians are exactly 0; the sentence says at how many checkpoints.
- Beside it: the same change without the control, with each other control, with dead units, of the median breadth, and
  of the Gini coefficient.
- Between checkpoints a value is interpolated linearly. A replica that did not reach t_m or t_g has no late window, and
  counts as censored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import estimates
from general_circuits.analysis.windows import change_to_late_window, over_replicas, steps_of_events
from general_circuits.claims.findings import (
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beyond,
    counted,
    written,
)
from general_circuits.claims.specifications import (
    NONE,
    REGISTERED_SALIENCY,
    changes,
    degenerate,
    minus_control,
    options_of,
    specifications,
    with_layers,
)
from general_circuits.registered import registered_rows

THRESHOLD = 0.05
UNIT = "L-skewness"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `events` and `distribution` tables of grokking, random labels and other controls."""
    distribution = registered_rows(tables["distribution"])
    conditions = list(distribution["condition"].cat.categories)
    steps = steps_of_events(tables["events"], "grokking")

    def changes(condition: str, statistic: str, dead_units: str, measure: str) -> estimates.Array:
        """Return one change per grokking replica; a control is read at its partner's steps."""
        rows = distribution[
            (distribution["condition"] == condition)
            & (distribution["statistic"] == statistic)
            & (distribution["dead_units"] == dead_units)
        ]
        return over_replicas(rows, measure, steps, change_to_late_window)

    surrogate = ("mean_magnitude", "excluded", "l_skewness")
    grokking = changes("grokking", *surrogate)
    decided = grokking - changes("random_labels", *surrogate)
    findings = [
        _registered(decided, len(steps)),
        _literal(distribution, changes("grokking", "median", "included", "moment_skewness")),
    ]

    def beyond_random_labels(*what: str) -> estimates.Array:
        return changes("grokking", *what) - changes("random_labels", *what)

    others = [name for name in conditions if name not in ("grokking", "random_labels")]
    beside = [
        ("without the control", UNIT, grokking),
        *((f"minus {name}", UNIT, grokking - changes(name, *surrogate)) for name in others),
        ("with dead units", UNIT, beyond_random_labels("mean_magnitude", "included", "l_skewness")),
        ("median breadth", "breadth", beyond_random_labels("breadth", "excluded", "median")),
        ("Gini coefficient", "Gini coefficient", beyond_random_labels("mean_magnitude", "excluded", "gini")),
    ]
    for contrast, unit, values in beside:
        estimate = estimates.estimate(values)
        findings.append(Finding(contrast, unit, estimate, f"Change, {contrast}: {written(estimate)}."))
    return findings


def _registered(values: estimates.Array, replicas: int) -> Finding:
    side = 1 if estimates.estimate(values).mean > 0 else -1
    estimate = estimates.estimate(values, null=side * THRESHOLD)
    if abs(estimate.mean) <= THRESHOLD:
        estimate = dataclasses.replace(estimate, p_value=1.0 if estimate.n > 1 else float("nan"))
    verdict = beyond(estimate, THRESHOLD)
    outcome = {
        SUPPORTED: f"more right-skewed, by more than the registered {THRESHOLD}",
        CONTRADICTED: f"less right-skewed, by more than the registered {THRESHOLD}",
        UNDECIDED: f"no change by more than the registered {THRESHOLD} is shown, in either direction",
    }[verdict]
    if estimate.n < ENOUGH_REPLICAS:
        outcome = "too few replicas to say"
    sentence = (
        f"From t_m to the late window, the L-skewness of the neurons' saliency changed by {written(estimate)}"
        f" beyond its change in random labels: {outcome}. Over {counted(estimate.n, replicas)}."
    )
    return Finding(REGISTERED, UNIT, estimate, sentence, verdict)


def _literal(distribution: pd.DataFrame, values: estimates.Array) -> Finding:
    """Return the change of the measure that the source's words name; it is often degenerate, so it does not decide."""
    rows = distribution[
        (distribution["condition"] == "grokking")
        & (distribution["statistic"] == "median")
        & (distribution["dead_units"] == "included")
    ]
    estimate = estimates.estimate(values)
    degenerate = f"degenerate at {int(rows['degenerate'].sum())} of {len(rows)} checkpoints"
    sentence = (
        f"The literal measure (moment skewness of the median saliency) changed by {written(estimate)}; {degenerate}."
    )
    return Finding("literal", "moment skewness", estimate, sentence)


CHOICES = ("method", "target", "normalisation", "statistic", "layer", "split", "dead_units")
REGISTERED_CHOICES = {
    **REGISTERED_SALIENCY,
    "dead_units": "excluded",
    "deletion": NONE,
    "control": "random_labels",
}


def specify(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the change of L-skewness of every histogram, with the control and without it.

    It reads the table `specified_distribution`. A histogram that is degenerate at most checkpoints of a window has no
    estimate, nor has one whose subtracted control is degenerate there.
    """
    steps = steps_of_events(tables["events"], "grokking")
    frame = with_layers(tables["specified_distribution"])
    parts = {name: frame[frame["condition"] == name] for name in ("grokking", "random_labels")}
    grokking, control = (changes(part, "l_skewness", CHOICES, steps) for part in parts.values())
    of_grokking, of_control = (degenerate(part, CHOICES, steps) for part in parts.values())
    return specifications(
        {"random_labels": minus_control(grokking, control), NONE: grokking},
        options_of(frame, CHOICES),
        REGISTERED_CHOICES,
        {"random_labels": of_grokking.combine_first(of_control), NONE: of_grokking},
        UNIT,
        THRESHOLD,
    )
