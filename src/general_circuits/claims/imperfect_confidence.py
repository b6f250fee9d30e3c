"""Claim: memorisation stops short of full confidence, and the leftover gradient drives generalisation.

Registered before this rule was applied to any result, for grokking:

- p is the probability of an example's right answer. The doubt of a replica is the median of 1 − p over training
  examples. The estimate is the mean of its log10 over the time from t_m to t_o. Supported above −2 (a doubt of 0.01),
  contradicted below −3 (0.001). The account presupposes such doubt.
- The first version averaged over evaluations. These crowd the first steps after t_m, when doubt is largest, so the
  mean was too high. Now the mean is weighted by time.
- Precondition: at least four fifths of the replicas have t_m, t_o, and a delay between them: t_o is at least 2 t_m.
  Without a delay there is no plateau on which memorisation could stop. A replica without all three has no value.
- Branches of grokking at t_m test whether the leftover gradient drives generalisation. They measure the steps left to
  generalise in five cases: known examples do not train; a temperature takes the loss away; there is no decay; nothing
  but decay moves the weights; or the rule is gradient descent, since Adam ignores a gradient's size. They stand beside
  the verdict, as means over the replicas that generalise.
- Also beside it: the gradients of the least sure tenth of the examples, and the fall of validation loss that they
  cause. Both are means over time, from the first checkpoint after t_m to the last one before t_o.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.preconditions import DELAY, delayed, unmet
from general_circuits.analysis.variants import AT, BASE, differences, stops_with_change
from general_circuits.analysis.windows import steps_of_events, time_mean
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

RULE = Rule(supported=-2.0, contradicted=-3.0)
UNIT = "log10 of 1 − p"
LEAST = 1e-17
"""Least value of 1 − p: in double precision no number nearer to 1 than about 1e-16 differs from 1."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from `conditions`, `events` and `metrics` of grokking and its variants, and `deciles` where it is."""
    metrics, events = tables["metrics"], tables["events"]
    findings = [_registered(metrics, events)]
    for column, words in {"correct_probability_q10": "10 %", "correct_probability_q90": "90 %"}.items():
        doubts = _doubts(metrics, _plateaus(events), column)
        text = f"Doubt 1 − p at the {words} quantile of p over training examples: {written(estimate(doubts))} in log10."
        findings.append(Finding(f"{words} quantile of p", UNIT, estimate(doubts), text, tuple(doubts)))
    if "deciles" in tables:
        findings += _sources(tables["deciles"], _plateaus(events))
    conditions = variant_outcomes.settings(tables["conditions"])
    for name in conditions:
        changed = differences(conditions, name)
        # A branch that stops with its change may have no time to generalise.
        if name != BASE and AT in changed and not stops_with_change(conditions[name]):
            findings.append(_steps_left(events, name, variant_outcomes.place(changed)))
    return findings


def _plateaus(events: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of grokking's events by replica, without `onset` where there is no delay before it."""
    steps = steps_of_events(events, BASE)
    return steps.assign(onset=steps["onset"].where(steps["onset"] >= DELAY * steps["memorised"]))


def _doubts(metrics: pd.DataFrame, plateaus: pd.DataFrame, column: str) -> Array:
    """Return the mean over time of log10(1 − p) on the plateau, (replica).

    The column has p, a quantile over the examples.
    """
    doubts = []
    for replica, steps in plateaus.iterrows():
        p = variant_outcomes.curves(metrics, BASE, int(str(replica)), column)["train"]
        doubts.append(time_mean(np.log10((1 - p).clip(lower=LEAST)), steps["memorised"], steps["onset"]))
    return np.array(doubts)


def _sources(deciles: pd.DataFrame, plateaus: pd.DataFrame) -> list[Finding]:
    """Compare the gradients of the least sure tenth of the examples with all tenths', in means over the plateau."""
    rows = deciles[deciles["condition"] == BASE]

    def means(column: str) -> pd.DataFrame:
        """Return means over time by replica (row) and tenth (column), the least sure first."""
        by_replica = {}
        for replica, steps in plateaus.iterrows():
            of_replica = rows[rows["replica"] == replica]
            wide = of_replica.pivot_table(index="step", columns="decile", values=column, observed=True)
            inside = wide.loc[steps["memorised"] : steps["onset"]] if np.isfinite(steps["onset"]) else wide[:0]
            ends = (inside.index[0], inside.index[-1]) if len(inside) else (np.nan, np.nan)
            by_replica[replica] = {tenth: time_mean(inside[tenth], *ends) for tenth in inside}
        return pd.DataFrame.from_dict(by_replica, orient="index").reindex(plateaus.index, columns=range(1, 11))

    norms, falls = means("gradient_norm"), means("validation_fall")
    ratio = np.log10(norms[1] / norms[10])
    least = norms[1] / norms.sum(axis=1, min_count=1)
    return [
        beside("gradient norm of the least sure tenth over the surest", "log10 of the ratio", ratio),
        beside("share of all gradient norms in the least sure tenth", "share", least, is_change=False),
        beside("fall of validation loss by the least sure tenth's gradient", "nats per unit of rate", falls[1]),
    ]


def _steps_left(events: pd.DataFrame, name: str, at: str) -> Finding:
    """Compare the steps left to generalise in a branch with those in grokking, where both generalised."""
    base, branch = (variant_outcomes.left(events, condition, at) for condition in (BASE, name))
    ratios = variant_outcomes.log_ratio(branch, base)
    has_left = branch["steps"].notna()
    ended = int((has_left & ~branch["censored"]).sum())
    text = f"Steps left in {name}: {written(estimate(ratios))}; {ended} of {has_left.sum()} replicas generalised."
    return Finding(f"steps left, {name}", "log10 of the ratio to no change", estimate(ratios), text, tuple(ratios))


def _registered(metrics: pd.DataFrame, events: pd.DataFrame) -> Finding:
    if reason := unmet(delayed(steps_of_events(events, BASE))):
        return not_testable(reason)
    decision = decide(_doubts(metrics, _plateaus(events), "correct_probability"), RULE)
    words = {
        SUPPORTED: "short of full confidence",
        CONTRADICTED: "almost no doubt is left",
        BETWEEN: "some doubt is left, but less than the account presupposes",
        UNDECIDED: "neither account is excluded",
    }
    sentence = (
        "From t_m to t_o, log10 of the doubt 1 − p of the median training example is"
        f" {written(decision.estimate)}: {outcome(decision, words)}."
    )
    return primary(REGISTERED, UNIT, decision, sentence)
