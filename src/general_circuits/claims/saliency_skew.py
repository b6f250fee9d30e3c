"""Does the histogram of the neurons' saliency become more right-skewed as the network generalises?

Registered before any result was seen:

- The surrogate that decides: L-skewness, over alive units of the last layer, of the mean |saliency| on training
  examples; its median over the late window minus its value at t_m, minus the same in random labels of the same replica,
  read at the same steps. Supported above 0.05, contradicted below −0.05, by the interval; p is against the threshold.
- The literal row: moment skewness of the median of the signed saliency, dead units included. It is degenerate where
  over half of the medians are exactly 0; the sentence says at how many checkpoints.
- Beside it: the same change without the control, in each other control, with dead units, and of the median breadth.
- Between checkpoints a value is interpolated linearly. A replica in which t_m or t_g was not reached has no late window
  and is counted as censored.
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
        """One change per grokking replica; a control is read at its partner's steps."""
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
        ("of the median breadth", "breadth", beyond_random_labels("breadth", "excluded", "median")),
        ("of the Gini coefficient", "Gini coefficient", beyond_random_labels("mean_magnitude", "excluded", "gini")),
    ]
    for contrast, unit, values in beside:
        estimate = estimates.estimate(values)
        findings.append(Finding(contrast, unit, estimate, f"Change {contrast}: {written(estimate)}."))
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
        UNDECIDED: f"not shown to move by more than the registered {THRESHOLD} either way",
    }[verdict]
    if estimate.n < ENOUGH_REPLICAS:
        outcome = "too few replicas to say"
    sentence = (
        f"From memorised to the late window, the L-skewness of the neurons' saliency changed by {written(estimate)}"
        f" beyond that in random labels: {outcome}. Over {counted(estimate.n, replicas)}."
    )
    return Finding(REGISTERED, UNIT, estimate, sentence, verdict)


def _literal(distribution: pd.DataFrame, values: estimates.Array) -> Finding:
    rows = distribution[
        (distribution["condition"] == "grokking")
        & (distribution["statistic"] == "median")
        & (distribution["dead_units"] == "included")
    ]
    estimate = estimates.estimate(values)
    degenerate = f"degenerate at {int(rows['degenerate'].sum())} of {len(rows)} checkpoints"
    sentence = (
        f"Taken literally (moment skewness of the median saliency), it changed by {written(estimate)}; {degenerate}."
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
    """The registered change of L-skewness, and without its control, of every histogram; from `specified_distribution`.

    One that is degenerate at most checkpoints of a window, there or in a control that is subtracted, has no estimate.
    """
    steps = steps_of_events(tables["events"], "grokking")
    frame = with_layers(tables["specified_distribution"])
    parts = {name: frame[frame["condition"] == name] for name in ("grokking", "random_labels")}
    own, control = (changes(part, "l_skewness", CHOICES, steps) for part in parts.values())
    of_own, of_control = (degenerate(part, CHOICES, steps) for part in parts.values())
    return specifications(
        {"random_labels": minus_control(own, control), NONE: own},
        options_of(frame, CHOICES),
        REGISTERED_CHOICES,
        {"random_labels": of_own.combine_first(of_control), NONE: of_own},
        UNIT,
        THRESHOLD,
    )
