"""Claim: weight decay speeds generalisation, because it degrades shallow circuits more than general ones.

Registered before this rule was applied to any result, two verdicts:

- speed: t_g goes as the weight decay to a power below −0.2. The rule is in `speed.py`.
- mechanism: decay alone removes a larger share of the shallow part of margins than of the general part. The rule is
  in `mechanism.py`.
- Beside both: the median step to generalise (Kaplan–Meier) by training share, at each weight decay that the study
  combines with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.analysis.survival import median_time
from general_circuits.analysis.variants import Conditions
from general_circuits.claims import mechanism, speed
from general_circuits.claims.findings import Finding


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `progress` and `structure` tables of grokking and its variants."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    return [*speed.of_decay(tables), *mechanism.of_decay(tables), *_medians(events, conditions)]


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
