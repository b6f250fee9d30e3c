"""Claim: the histogram of the neurons' saliency becomes more right-skewed as the network generalises.

Two parts, registered before their results were seen:

- skewness, the surrogate of the source's words: L-skewness, over alive units of the last layer, of the mean |saliency|
  on training examples. Supported beyond +0.05, contradicted below −0.05.
- breadth, the source's own mechanism, since a general circuit serves many examples. It is the median over alive units
  of the participation ratio: the share of the training examples on which a unit matters. Supported beyond +0.05,
  contradicted below −0.05, as for skewness.
- Each change is the median over the late window minus the value at the baseline. The weights there are made by a
  replay. In the first version the value at t_m was interpolated between checkpoints, at which the network had not
  memorised yet.
- The same change in a control with random labels is subtracted, replica by replica. There is a family of controls.
  Labels are random by example, random by unordered pair, or a random commutative Latin square. Each kind trains on
  grokking's own inputs, and on fewer inputs if it would memorise these later. Both parts must hold beyond every
  control, so the least favourable one decides. In the first version there was one control: by example, on fewer inputs.
- A control is read from its own t_m or its partner's, whichever is later. It counts if at least four fifths of its
  replicas had a training accuracy of 0.99 there, before their partner's t_g. Each kind needs a control that counts.
- Precondition: at least four fifths of grokking's replicas memorised, and generalised after a delay.
- The literal row is the moment skewness of the median of the signed saliency, dead units included. It is degenerate
  where more than half of the medians are exactly 0; the sentence says at how many checkpoints.
- Beside it: each control by itself; the change without any control; other conditions; dead units; the Gini coefficient;
  and the training accuracy of every condition at its baseline.
- A replica whose training ended within the late window is judged on the part that it has; the sentence counts these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import pandas as pd

from general_circuits.analysis import moments, preconditions, variant_outcomes
from general_circuits.analysis.decisions import Rule, least_favourable
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.variants import BASE, LABELS_BY, RANDOM_LABELS, Conditions
from general_circuits.analysis.windows import change_to_late_window, over_replicas
from general_circuits.claims.baselines import accuracies, late_windows_cut
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    lacking,
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
    degenerate,
    minus_control,
    options_of,
    specifications,
    with_layers,
)
from general_circuits.registered import registered_rows, rows_of

THRESHOLD = 0.05
RULE = Rule(THRESHOLD, -THRESHOLD)
UNIT, BREADTH_UNIT = "L-skewness", "share of the examples"
KINDS = {"example": "by example", "pair": "by unordered pair", "latin_square": "as a random Latin square"}
"""Kinds of random labels that the family of controls needs, with words for each."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `moments`, `distribution` and `conditions` tables of grokking and its controls."""
    distribution, table = registered_rows(tables["distribution"]), tables["moments"]
    conditions = variant_outcomes.settings(tables["conditions"])
    measured = [name for name in distribution["condition"].cat.categories if name in set(table["condition"])]
    # A replica that never memorised has no moments, and counts all the same.
    replicas = pd.Index(distribution.loc[distribution["condition"] == BASE, "replica"].unique()).sort_values()

    @cache
    def change(condition: str, measure: str, statistic: str, dead_units: str = "excluded") -> Array:
        """Return one change per replica of grokking, NaN where there is none."""
        rows = rows_of(distribution, condition=condition, statistic=statistic, dead_units=dead_units)
        steps = moments.steps_of(table, condition).reindex(replicas)
        return over_replicas(rows, measure, steps, change_to_late_window)

    family = [name for name in RANDOM_LABELS.of(conditions) if name in measured]
    counting = [name for name in family if not _does_not_count(table, name, replicas)]
    untestable = _untestable(table, conditions, family, replicas)
    parts = (("skewness", UNIT, ("l_skewness", "mean_magnitude")), ("breadth", BREADTH_UNIT, ("median", "breadth")))
    findings = []
    for name, unit, measure in parts:
        beyond = {control: change(BASE, *measure) - change(control, *measure) for control in counting}
        findings.append(untestable(part(name)) or _registered(name, unit, beyond, late_windows_cut(table)))
    findings.append(_literal(distribution, change(BASE, "moment_skewness", "median", "included")))
    for name, unit, measure in parts:
        findings.append(beside(f"{name}, without a control", unit, change(BASE, *measure)))
        for control in measured:
            if control != BASE:
                difference = change(BASE, *measure) - change(control, *measure)
                findings.append(beside(f"{name}, minus {control}", unit, difference))
    findings += [
        beside("skewness, with dead units", UNIT, change(BASE, "l_skewness", "mean_magnitude", "included")),
        beside("Gini coefficient", "Gini coefficient", change(BASE, "gini", "mean_magnitude")),
    ]
    return [*findings, *accuracies(table, measured)]


def _does_not_count(table: pd.DataFrame, control: str, replicas: pd.Index) -> str:
    """Return why a control does not count; empty if it does."""
    has_baseline = moments.has_baseline(table, control).reindex(replicas, fill_value=False)
    return preconditions.unmet({f"{control} had memorised at its baseline, before t_g": has_baseline})


def _untestable(
    table: pd.DataFrame, conditions: Conditions, family: list[str], replicas: pd.Index
) -> Callable[[str], Finding | None]:
    """Return the function that gives the finding of a part that cannot be judged, or None where it can."""
    kinds = {name: conditions[name][LABELS_BY] for name in family}
    absent = [words for kind, words in KINDS.items() if kind not in kinds.values()]
    if absent:
        return lambda contrast: lacking(f"no random labels {' and none '.join(absent)}", contrast)
    reason = preconditions.unmet(preconditions.grokked(moments.steps_of(table, BASE).reindex(replicas)))
    for kind in KINDS:
        faults = [_does_not_count(table, name, replicas) for name in family if kinds[name] == kind]
        if all(faults):
            reason = reason or faults[0]
    return lambda contrast: not_testable(reason, contrast) if reason else None


def _registered(name: str, unit: str, beyond: Mapping[str, Array], cut: str) -> Finding:
    decision = least_favourable(beyond, RULE)
    what = {"skewness": "the L-skewness of the neurons' saliency", "breadth": "the neurons' median breadth"}[name]
    words = {
        SUPPORTED: f"it rises by more than the registered {THRESHOLD}",
        CONTRADICTED: f"it falls by more than the registered {THRESHOLD}",
        BETWEEN: f"it changes by less than the registered {THRESHOLD}",
        UNDECIDED: f"no change by more than the registered {THRESHOLD} is shown or excluded",
    }
    sentence = (
        f"From memorising to the late window, {what} changed by {written(decision.estimate)} beyond its change in"
        f" {decision.contrast}, the least favourable of {len(beyond)} controls with random labels:"
        f" {outcome(decision, words)}.{cut}"
    )
    return primary(part(name), unit, decision, sentence)


def _literal(distribution: pd.DataFrame, values: Array) -> Finding:
    """Return the change of the measure that the source's words name; it is often degenerate, so it does not decide."""
    rows = rows_of(distribution, condition=BASE, statistic="median", dead_units="included")
    result = estimate(values)
    sentence = (
        f"The literal measure (moment skewness of the median saliency) changed by {written(result)}; degenerate at"
        f" {int(rows['degenerate'].sum())} of {len(rows)} checkpoints."
    )
    return Finding("literal", "moment skewness", result, sentence, tuple(values))


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
    table = tables["moments"]
    frame = with_layers(tables["specified_distribution"])
    parts = [(frame[frame["condition"] == name], moments.steps_of(table, name)) for name in (BASE, "random_labels")]
    grokking, control = (changes(rows, "l_skewness", CHOICES, steps) for rows, steps in parts)
    of_grokking, of_control = (degenerate(rows, CHOICES, steps) for rows, steps in parts)
    return specifications(
        {"random_labels": minus_control(grokking, control), NONE: grokking},
        options_of(frame, CHOICES),
        REGISTERED_CHOICES,
        {"random_labels": of_grokking.combine_first(of_control), NONE: of_grokking},
        UNIT,
        RULE,
    )
