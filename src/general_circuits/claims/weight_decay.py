"""Does weight decay speed generalisation, because it degrades shallow circuits more than general ones?

Registered before any result of a study was seen, two verdicts:

- speed: the slope of log t_g on log weight decay, over grokking and the conditions that differ from it in nothing else,
  by censored regression. Supported where its interval is below 0, contradicted where it is above.
- mechanism: in a branch of grokking at onset in which weights decay and nothing else moves them, the share that is lost
  of the part of training margins that unseen examples do not show (shallow), less the share lost of the part that they
  show (general). Supported where its interval is above 0, contradicted where it is below.
- Beside: each decay by itself, without decay too; and the same loss where noise that is as large as decay moves the
  weights instead.
- A replica that does not generalise is censored at its end.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits import sweeps
from general_circuits.arms import BASE, DECAY
from general_circuits.claims.findings import Finding, written
from general_circuits.claims.mechanisms import mechanism, speed
from general_circuits.estimates import estimate


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `progress` tables of grokking and its arms."""
    events, conditions = tables["events"], sweeps.settings(tables["conditions"])
    decays = sweeps.levels(conditions, DECAY)
    findings = [
        speed(events, decays, DECAY, -1.0),
        mechanism(tables.get("progress"), conditions, noise=False),
    ]
    base = sweeps.left(events, BASE, sweeps.START)
    for name, decay in decays.items():
        if name != BASE:
            ratio = estimate(sweeps.log_ratio(sweeps.left(events, name, sweeps.START), base))
            text = f"Steps to generalise at weight decay {decay:g}: {written(ratio)}."
            findings.append(Finding(f"steps at {decay:g}", "log10 of the ratio to grokking", ratio, text))
    beside = mechanism(tables.get("progress"), conditions, noise=True)
    return [*findings, Finding("noise instead of decay", beside.unit, beside.estimate, beside.sentence)]
