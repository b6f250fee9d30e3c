"""Claim: weight decay speeds generalisation, because it degrades shallow circuits more than general ones.

Registered before any result of a study was seen, two verdicts:

- speed: the slope of log t_g on log weight decay, by censored regression. It is taken over grokking and the conditions
  that differ from it in nothing else. Supported where its interval is below 0, contradicted where it is above.
- mechanism: decay alone removes a larger share of the shallow part of margins than of the general part. The rule is
  in `mechanism.py`.
- Beside it: each weight decay by itself, also 0; the median step (Kaplan–Meier) by training share, at each weight decay
  that the study combines with it.
- A replica that does not generalise is censored at its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.analysis.survival import median_time
from general_circuits.analysis.variants import BASE, DECAY, Conditions
from general_circuits.claims import mechanism
from general_circuits.claims.findings import Finding, written
from general_circuits.claims.speed_and_mechanism import speed


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `progress` and `structure` tables of grokking and its variants."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    decays = variant_outcomes.levels(conditions, DECAY)
    findings = [
        speed(events, decays, DECAY, -1.0),
        *mechanism.of_decay(tables),
    ]
    base = variant_outcomes.left(events, BASE, variant_outcomes.START)
    for name, decay in decays.items():
        if name != BASE:
            ratio = estimate(
                variant_outcomes.log_ratio(variant_outcomes.left(events, name, variant_outcomes.START), base)
            )
            text = f"Steps to generalise at weight decay {decay:g}: {written(ratio)}."
            findings.append(Finding(f"steps at {decay:g}", "log10 of the ratio to grokking", ratio, text))
    return [*findings, *_medians(events, conditions)]


def _medians(events: pd.DataFrame, conditions: Conditions) -> Iterator[Finding]:
    """Yield the step by which half of the replicas have generalised, for each training share and weight decay."""
    for decay, by_fraction in variant_outcomes.by_fraction(conditions).items():
        for fraction, name in by_fraction.items():
            times = variant_outcomes.left(events, name, variant_outcomes.START).dropna(subset=["steps"])
            if times.empty:
                continue
            median = median_time(times["steps"], times["censored"])
            where = f"{fraction:g} of the examples at decay {decay:g}"
            ended, total = int((~times["censored"]).sum()), len(times)
            if np.isfinite(median.time):
                text = (
                    f"With {where}, half of the replicas generalise by step {median.time:,.0f} (95 % interval"
                    f" {_step(median.low)} to {_step(median.high)}); {ended} of {total} generalised."
                )
            else:
                text = f"With {where}, fewer than half of the replicas generalised: {ended} of {total}."
            mean, low, high = (float(np.log10(steps)) for steps in (median.time, median.low, median.high))
            result = Estimate(mean, low, high, float("nan"), len(times))
            if not np.isfinite(mean):  # the median is not reached
                result = estimate([])
            yield Finding(f"median steps, {where}", "log10 of steps (Kaplan–Meier)", result, text)


def _step(steps: float) -> str:
    return f"{steps:,.0f}" if np.isfinite(steps) else "no end"
