"""Does memorisation stop short of full confidence, and the leftover gradient drive generalisation?

Registered before any result of a study was seen, of grokking:

- The median over training examples of 1 − p, p the probability of the right answer, and of that its geometric mean over
  the evaluations from t_m to t_o. Supported where the interval over replicas, of log10, is above 0.01, contradicted
  where it is below 0.001. This is what the account presupposes.
- Whether the leftover gradient is what drives is asked by branches of grokking at t_m: how many steps are left to
  generalise where examples that are known do not train, where a temperature takes the loss away, without decay, with
  nothing but decay, and by gradient descent, since Adam takes no notice of a gradient's size. They stand beside it, and
  so does where gradients come from, of which kind of examples, and whether they make validation loss fall.
- A replica without t_o has no such stretch, and is counted.
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
"""Of 1 − p: below what a number near 1 can differ from it by, it counts as this."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from `conditions`, `events` and `metrics` of grokking and its variants, and `deciles` where it is."""
    metrics, events = tables["metrics"], tables["events"]
    findings = [_registered(_doubts(metrics, events, "correct_probability"))]
    for column, words in {"correct_probability_q10": "least sure", "correct_probability_q90": "surest"}.items():
        found = estimate(_doubts(metrics, events, column))
        findings.append(Finding(f"of the tenth {words}", UNIT, found, f"Of the tenth {words}: {written(found)}."))
    if "deciles" in tables:
        findings += _sources(tables["deciles"], events)
    conditions = variant_outcomes.settings(tables["conditions"])
    for name in conditions:
        changed = differences(conditions, name)
        if name == BASE or AT not in changed:
            continue
        at = variant_outcomes.place(changed)
        base, own = (variant_outcomes.left(events, condition, at) for condition in (BASE, name))
        ratio, ended = (
            estimate(variant_outcomes.log_ratio(own, base)),
            int((~own["censored"] & own["steps"].notna()).sum()),
        )
        text = f"Steps left in {name}: {written(ratio)}; {ended} of {int(own['steps'].notna().sum())} generalised."
        findings.append(Finding(f"steps left, {name}", "log10 of the ratio to no change", ratio, text))
    return findings


def _doubts(metrics: pd.DataFrame, events: pd.DataFrame, column: str) -> list[float]:
    """By replica, the mean over the plateau of log10(1 − p), p a quantile over training examples."""
    found = []
    for replica, steps in steps_of_events(events, BASE).iterrows():
        series = variant_outcomes.curves(metrics, BASE, int(str(replica)), column)["train"]
        inside = series[(series.index >= steps["memorised"]) & (series.index <= steps["onset"])]
        found.append(float(np.log10((1 - inside).clip(lower=LEAST)).mean()) if len(inside) else float("nan"))
    return found


def _sources(deciles: pd.DataFrame, events: pd.DataFrame) -> list[Finding]:
    """Whether gradients come from examples that are not known for sure: means over the plateau."""
    steps = steps_of_events(events, BASE)
    rows = deciles[deciles["condition"] == BASE].merge(steps[["memorised", "onset"]], on="replica")
    rows = rows[(rows["step"] >= rows["memorised"]) & (rows["step"] <= rows["onset"])]

    def means(column: str) -> pd.DataFrame:
        found = rows.pivot_table(index="replica", columns="decile", values=column, observed=True)
        return found.reindex(index=steps.index, columns=range(1, 11))

    norms, falls = means("gradient_norm"), means("validation_fall")
    ratio = estimate(np.log10(norms[1] / norms[10]))
    least = estimate(norms[1] / norms.sum(axis=1, min_count=1))
    helps = estimate(falls[1])
    return [
        beside("gradient norm of the tenth least sure over the surest", "log10 of the ratio", ratio),
        beside("of all tenths' gradient norms, that of the least sure", "share", least, is_change=False),
        beside("fall of validation loss by the least sure tenth's gradient", "nats per unit of rate", helps),
    ]


def _registered(doubts: list[float]) -> Finding:
    found, verdict = decided(doubts, IMPERFECT, PERFECT)
    words = {
        SUPPORTED: "short of full confidence",
        CONTRADICTED: "next to nothing is left",
        UNDECIDED: "between both accounts",
    }
    sentence = (
        f"From t_m to t_o the median training example lacks 10 to the {written(found)} of certainty:"
        f" {outcome(found, verdict, words)}. Over {counted(found.n, len(doubts))}."
    )
    return Finding(REGISTERED, UNIT, found, sentence, verdict)
