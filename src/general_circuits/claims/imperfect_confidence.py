"""Claim: memorisation stops short of full confidence, and the leftover gradient drives generalisation.

Registered before any result of a study was seen, for grokking:

- p is the probability of an example's right answer. The estimate is the median of 1 − p over training examples, and of
  that the geometric mean over the evaluations from t_m to t_o. Supported where the interval over replicas, taken in
  log10, is above 0.01; contradicted where it is below 0.001. The account presupposes such doubt.
- Branches of grokking at t_m test whether the leftover gradient drives generalisation. They measure the steps left to
  generalise in five cases: known examples do not train; a temperature takes the loss away; there is no decay; nothing
  but decay moves the weights; or the rule is gradient descent, since Adam ignores a gradient's size. They stand beside
  the verdict.
- Also beside it: the share of the gradient that examples of each confidence give, and the fall of validation loss that
  their gradient causes.
- A replica without t_o has no such interval of steps; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.variants import AT, BASE, differences
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    CONTRADICTED,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    counted,
    decided,
    outcome,
    written,
)

IMPERFECT, PERFECT = -2.0, -3.0
UNIT = "log10 of 1 − p"
LEAST = 1e-17
"""Least value of 1 − p: in double precision no number nearer to 1 than about 1e-16 differs from 1."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from `conditions`, `events` and `metrics` of grokking and its variants, and `deciles` where it is."""
    metrics, events = tables["metrics"], tables["events"]
    findings = [_registered(_doubts(metrics, events, "correct_probability"))]
    for column, words in {"correct_probability_q10": "10 %", "correct_probability_q90": "90 %"}.items():
        result = estimate(_doubts(metrics, events, column))
        text = f"Doubt 1 − p at the {words} quantile of p over training examples: {written(result)} in log10."
        findings.append(Finding(f"{words} quantile of p", UNIT, result, text))
    if "deciles" in tables:
        findings += _sources(tables["deciles"], events)
    conditions = variant_outcomes.settings(tables["conditions"])
    for name in conditions:
        changed = differences(conditions, name)
        if name == BASE or AT not in changed:
            continue
        at = variant_outcomes.place(changed)
        base, branch = (variant_outcomes.left(events, condition, at) for condition in (BASE, name))
        ratio, ended = (
            estimate(variant_outcomes.log_ratio(branch, base)),
            int((~branch["censored"] & branch["steps"].notna()).sum()),
        )
        text = f"Steps left in {name}: {written(ratio)}; {ended} of {int(branch['steps'].notna().sum())} generalised."
        findings.append(Finding(f"steps left, {name}", "log10 of the ratio to no change", ratio, text))
    return findings


def _doubts(metrics: pd.DataFrame, events: pd.DataFrame, column: str) -> list[float]:
    """Return the mean of log10(1 − p) over the plateau, by replica; `column` has p, a quantile over the examples."""
    doubts = []
    for replica, steps in steps_of_events(events, BASE).iterrows():
        series = variant_outcomes.curves(metrics, BASE, int(str(replica)), column)["train"]
        inside = series[(series.index >= steps["memorised"]) & (series.index <= steps["onset"])]
        doubts.append(float(np.log10((1 - inside).clip(lower=LEAST)).mean()) if len(inside) else float("nan"))
    return doubts


def _sources(deciles: pd.DataFrame, events: pd.DataFrame) -> list[Finding]:
    """Compare the gradients of the least sure tenth of the examples with all tenths', in means over the plateau."""
    steps = steps_of_events(events, BASE)
    rows = deciles[deciles["condition"] == BASE].merge(steps[["memorised", "onset"]], on="replica")
    rows = rows[(rows["step"] >= rows["memorised"]) & (rows["step"] <= rows["onset"])]

    def means(column: str) -> pd.DataFrame:
        wide = rows.pivot_table(index="replica", columns="decile", values=column, observed=True)
        return wide.reindex(index=steps.index, columns=range(1, 11))  # (replica, tenth), the least sure first

    norms, falls = means("gradient_norm"), means("validation_fall")
    ratio = estimate(np.log10(norms[1] / norms[10]))
    least = estimate(norms[1] / norms.sum(axis=1, min_count=1))
    helps = estimate(falls[1])
    return [
        beside("gradient norm of the least sure tenth over the surest", "log10 of the ratio", ratio),
        beside("share of all gradient norms in the least sure tenth", "share", least, is_change=False),
        beside("fall of validation loss by the least sure tenth's gradient", "nats per unit of rate", helps),
    ]


def _registered(doubts: list[float]) -> Finding:
    result, verdict = decided(doubts, IMPERFECT, PERFECT)
    words = {
        SUPPORTED: "short of full confidence",
        CONTRADICTED: "almost no doubt is left",
        UNDECIDED: "neither account is excluded",
    }
    sentence = (
        "From t_m to t_o, log10 of the doubt 1 − p of the median training example is"
        f" {written(result)}: {outcome(result, verdict, words)}. Over {counted(result.n, len(doubts))}."
    )
    return Finding(REGISTERED, UNIT, result, sentence, verdict)
