"""Does weight decay speed generalisation, because it degrades shallow circuits more than general ones?

Registered before any result of a study was seen, two verdicts:

- speed: the slope of log t_g on log weight decay, over grokking and the conditions that differ from it in nothing else,
  by censored regression. Supported where its interval is below 0, contradicted where it is above.
- mechanism: in a branch of grokking at onset in which weights decay and nothing else moves them, the share that is lost
  of the part of training margins that unseen examples do not show (shallow), less the share lost of the part that they
  show (general). Supported where its interval is above 0, contradicted where it is below.
- Beside: each decay by itself, without decay too; the median step by how much trains (Kaplan–Meier), at each decay that
  was asked with it; and the same loss where noise that is as large as decay moves the weights instead.
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
from general_circuits.claims.findings import Finding, written
from general_circuits.claims.speed_and_mechanism import mechanism, speed


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `progress` tables of grokking and its variants."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    decays = variant_outcomes.levels(conditions, DECAY)
    findings = [
        speed(events, decays, DECAY, -1.0),
        mechanism(tables.get("progress"), conditions, noise=False),
    ]
    base = variant_outcomes.left(events, BASE, variant_outcomes.START)
    for name, decay in decays.items():
        if name != BASE:
            ratio = estimate(
                variant_outcomes.log_ratio(variant_outcomes.left(events, name, variant_outcomes.START), base)
            )
            text = f"Steps to generalise at weight decay {decay:g}: {written(ratio)}."
            findings.append(Finding(f"steps at {decay:g}", "log10 of the ratio to grokking", ratio, text))
    findings += list(_medians(events, conditions))
    beside = mechanism(tables.get("progress"), conditions, noise=True)
    return [*findings, Finding("noise instead of decay", beside.unit, beside.estimate, beside.sentence)]


def _medians(events: pd.DataFrame, conditions: Conditions) -> Iterator[Finding]:
    """When half of the replicas have generalised, by how much trains and by decay."""
    for decay, by_fraction in variant_outcomes.by_fraction(conditions).items():
        for fraction, name in by_fraction.items():
            known = variant_outcomes.left(events, name, variant_outcomes.START).dropna(subset=["steps"])
            if known.empty:
                continue
            median = median_time(known["steps"], known["censored"])
            where = f"{fraction:g} of the examples at decay {decay:g}"
            text = (
                f"With {where}, half of the replicas generalise {_by(median.time)} (95 % interval"
                f" {_by(median.low)} to {_by(median.high)}); {int((~known['censored']).sum())} of {len(known)} did."
            )
            mean, low, high = (float(np.log10(steps)) for steps in (median.time, median.low, median.high))
            found = Estimate(mean, low, high, float("nan"), len(known))
            if not np.isfinite(mean):  # half of them did not
                found = estimate([])
            yield Finding(f"median steps, {where}", "log10 of steps (Kaplan–Meier)", found, text)


def _by(steps: float) -> str:
    return f"by step {steps:,.0f}" if np.isfinite(steps) else "never"
