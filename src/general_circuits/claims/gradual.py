"""Claim: the rise to full validation accuracy is a large part of the training time; the jump is a log-axis illusion.

Registered before this rule was applied to any result, for grokking:

- Validation accuracy rises from its plateau after t_m to 1. The steps t05 and t95 are those at which it has gone 5 %
  and 95 % of the way, linear between evaluations.
- Supported where (t95 − t05) / t95 is above 0.5, contradicted where it is below 0.25.
- Precondition: at most a fifth of the replicas do not get to t95, because the share is known only for the others. And
  at least four fifths have a delay: onset is not before 2 t_m. Without a delay there is no jump to explain.
- Beside it: the same share on a clock of the distance that weights travel, Σ‖Δθ‖; the same share for training accuracy,
  which rises from its first value; the ratio of both rises; and the same for controls that generalise.
- Beside it where the study has grokking with slightly moved initial weights: how far this moves log t_g. That is the
  part of the spread over seeds that chaos makes. Both spreads are mean absolute deviations, so they compare.
- A replica that does not get so far has no share; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_rise import Rise, rises
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.preconditions import delayed, unmet
from general_circuits.analysis.variant_outcomes import START
from general_circuits.analysis.variants import BASE, PERTURBATION, Conditions, differences
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    not_testable,
    outcome,
    primary,
    written,
)

RULE = Rule(supported=0.5, contradicted=0.25)
UNIT, RATIO, SPREAD = (
    "share of the training time",
    "log10 of the ratio of steps",
    "mean absolute deviation of log10 t_g",
)


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `metrics` and `events` tables of grokking, controls and variants."""
    metrics, events = tables["metrics"], tables["events"]
    conditions = variant_outcomes.settings(tables["conditions"])
    of_grokking = rises(metrics, events, BASE)
    findings = [
        _registered([rise.share for rise in of_grokking], events),
        beside("on the clock of distance travelled", UNIT, [rise.share_of_distance for rise in of_grokking], False),
        beside("rise of training accuracy", UNIT, [rise.memorisation_share for rise in of_grokking], False),
        beside("rise of validation over rise of training accuracy", RATIO, [_longer(rise) for rise in of_grokking]),
    ]
    moved = {name for name in conditions if differences(conditions, name).keys() == {PERTURBATION}}
    for condition in dict.fromkeys(events["condition"].astype(str)):
        if condition not in {BASE, *moved}:
            others = rises(metrics, events, condition)
            findings.append(beside(f"in {condition}", UNIT, [rise.share for rise in others], False))
            name = f"rise of validation over rise of training accuracy in {condition}"
            findings.append(beside(name, RATIO, [_longer(rise) for rise in others]))
    return [*findings, *_chaos(events, conditions, sorted(moved))]


def _chaos(events: pd.DataFrame, conditions: Conditions, moved: list[str]) -> Iterator[Finding]:
    """Yield how far moved initial weights move t_g, beside the spread of t_g over seeds."""
    if not moved:
        return
    of_grokking = variant_outcomes.left(events, BASE, START)
    for name in moved:
        ratios = variant_outcomes.log_ratio(variant_outcomes.left(events, name, START), of_grokking)
        yield beside(f"log10 t_g, {name} over {BASE}", RATIO, ratios)
        size = float(conditions[name][PERTURBATION])
        contrast = f"chaos: spread of log10 t_g from moving the initial weights by {size:g}"
        # The difference of two times varies √2 as much as either.
        yield beside(contrast, SPREAD, np.abs(ratios) / np.sqrt(2), False)
    times = np.log10(of_grokking["steps"].where(~of_grokking["censored"]))
    n = times.notna().sum()
    # The mean of n times varies with them, which shortens their distances from it.
    spread = (times - times.mean()).abs() * np.sqrt(n / (n - 1)) if n > 1 else times * np.nan
    yield beside("spread of log10 t_g over seeds", SPREAD, spread, False)


def _longer(rise: Rise) -> float:
    """Return log10 of the steps of validation accuracy's rise over those of training accuracy's."""
    ratio = rise.steps / rise.memorisation_steps if rise.memorisation_steps > 0 else np.nan
    return float(np.log10(ratio)) if ratio > 0 else float("nan")


def _registered(shares: list[float], events: pd.DataFrame) -> Finding:
    steps = steps_of_events(events, BASE)
    if reason := unmet({"validation accuracy rose by 95 %": np.isfinite(shares), **delayed(steps)}):
        return not_testable(reason)
    decision = decide(shares, RULE)
    words = {
        SUPPORTED: "a large part",
        CONTRADICTED: "a small part",
        BETWEEN: "neither a large part nor a small one",
        UNDECIDED: "not shown to be large or small",
    }
    sentence = (
        f"The rise of validation accuracy from 5 % to 95 % takes {written(decision.estimate, is_change=False)} of all"
        f" steps up to its end: {outcome(decision, words)}."
    )
    return primary(REGISTERED, UNIT, decision, sentence)
