"""Claim: the noise of minibatches speeds generalisation, because it degrades shallow circuits more than general ones.

Registered before any result of a study was seen, two verdicts:

- speed: the slope of log t_g on log batch size, by censored regression, at equal numbers of updates. It is taken over
  grokking and the conditions that differ from it in nothing else. Supported where its interval is above 0, contradicted
  where it is below.
- mechanism, minibatch noise; and mechanism, gaussian noise: this noise alone removes a larger share of the shallow part
  of margins than of the general part. The rule is in `mechanism.py`.
- Beside it: the slope at equal numbers of epochs; full batches with and without noise as large as that of batches,
  which tells noise apart from small batches; and each batch size by itself.
- A replica that does not generalise is censored at its end.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.variants import BASE, BATCH, NOISE, differences
from general_circuits.claims import mechanism
from general_circuits.claims.findings import Finding, written
from general_circuits.claims.speed_and_mechanism import speed


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events`, `progress` and `structure` tables of grokking and its variants."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    batches = variant_outcomes.levels(conditions, BATCH)
    findings = [speed(events, batches, BATCH, 1.0), *mechanism.of_noise(tables)]
    # With n examples, epochs = updates · batch / n. So log epochs are log updates plus log batch minus a constant, and
    # the slope is greater by 1.
    in_epochs = estimate(variant_outcomes.slope(events, batches) + 1.0)
    findings.append(Finding("slope in epochs", "power of batch size", in_epochs, f"In epochs: {written(in_epochs)}."))
    base = variant_outcomes.left(events, BASE, variant_outcomes.START)
    for name in conditions:
        changed = differences(conditions, name)
        if (
            name == BASE
            or not changed.keys() & {BATCH, NOISE}
            or variant_outcomes.place(changed) != variant_outcomes.START
        ):
            continue
        ratio = estimate(variant_outcomes.log_ratio(variant_outcomes.left(events, name, variant_outcomes.START), base))
        size = conditions[name][BATCH]
        what = "full batch" if size == "full" else f"batch {size}"
        what += f" with the noise of {changed[NOISE]}" if NOISE in changed else ""
        text = f"Steps to generalise with {what}: {written(ratio)}."
        findings.append(Finding(f"steps with {what}", "log10 of the ratio to grokking", ratio, text))
    return findings
