"""Verdicts on speed: how do the steps to generalise change with weight decay, or with the batch size?

Parts of the claims `weight_decay` and `stochasticity`. Registered before this rule was applied to any result:

- The estimate is the power of the setting that t_g is proportional to: the slope of log t_g on the log of the setting.
  It is taken over grokking and the conditions that differ from it in this setting alone. A decay of 0 has no logarithm.
- Weight decay: supported below −0.2, contradicted above 0. Batch size, at equal numbers of updates: supported above
  0.2, contradicted below 0. In the first version all thresholds were 0, so that a power too small to matter could
  support the claim. A power of 0.2 is also what `learning_rate` calls no effect.
- t_g is known to lie between two evaluations, or after the last one. Its log is normal about a line, with one slope and
  with a random intercept for each replica. The slope is the most likely one, as a jackknife value for each replica.
- A level at which no replica generalised gives a bound, and never enters the slope. In the first version its times
  counted as if they had ended, which moves a slope towards 0: in a simulation from −1 to −0.64.
- Preconditions: at least four fifths of grokking's replicas memorise, and generalise after a delay. Some replica
  generalises at each of at least three levels. At these levels, at most a fifth of all runs are censored.
- Beside it: t_g at each level over grokking's. A replica with a censored time has no value there; the sentence counts
  those that generalised, or gives the bound. For batches also the power at equal numbers of epochs; and full batches
  with noise as large as that of batches, which tells noise apart from small batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.preconditions import MOST_CENSORED, grokked, unmet
from general_circuits.analysis.survival import Slopes, median_time
from general_circuits.analysis.variant_outcomes import START
from general_circuits.analysis.variants import AT, BASE, BATCH, DECAY, NOISE, differences
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    beside,
    not_testable,
    outcome,
    part,
    primary,
    written,
)

LEAST_LEVELS = 3
"""Least number of levels in a slope."""
SPEED = part("speed")
RATIO = "log10 of the ratio to grokking"


@dataclass(frozen=True)
class _Setting:
    """Setting that a verdict on speed is about: its key, its name for a reader, the rule, and the words of verdicts."""

    key: str
    name: str
    rule: Rule
    words: Mapping[str, str]

    @property
    def unit(self) -> str:
        return f"power of {self.name}"


OF_DECAY = _Setting(
    DECAY,
    "weight decay",
    Rule(supported=-0.2, contradicted=0.0, is_below=True),
    {
        SUPPORTED: "it speeds generalisation",
        CONTRADICTED: "it slows generalisation",
        BETWEEN: "it hardly speeds generalisation",
        UNDECIDED: "it is not shown whether it speeds generalisation",
    },
)
OF_BATCHES = _Setting(
    BATCH,
    "batch size",
    Rule(supported=0.2, contradicted=0.0),
    {
        SUPPORTED: "small batches speed generalisation",
        CONTRADICTED: "small batches slow generalisation",
        BETWEEN: "small batches hardly speed generalisation",
        UNDECIDED: "it is not shown whether small batches speed generalisation",
    },
)


def of_decay(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return the verdict on weight decay, and the contrasts beside it; reads `conditions` and `events`."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    decays = variant_outcomes.levels(conditions, DECAY)
    judged = _judge(events, decays, variant_outcomes.slope(events, decays), OF_DECAY)
    at = {name: f"at {decay:g}" for name, decay in decays.items() if name != BASE}
    return [judged, *_ratios(events, at)]


def of_batches(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Return the verdict on the batch size, and the contrasts beside it; reads `conditions` and `events`."""
    events, conditions = tables["events"], variant_outcomes.settings(tables["conditions"])
    batches = variant_outcomes.levels(conditions, BATCH)
    slope = variant_outcomes.slope(events, batches)
    findings = [_judge(events, batches, slope, OF_BATCHES)]
    if findings[0].decision:
        # With n examples, epochs = updates · batch / n. So log epochs are log updates plus log batch minus a constant,
        # and the slope is greater by 1.
        findings.append(beside("slope in epochs", OF_BATCHES.unit, slope.values + 1.0))
    at = {}
    for name, flat in conditions.items():
        changed = differences(conditions, name)
        differs_in_noise = changed.keys() & {BATCH, NOISE} and changed.keys() <= {AT, BATCH, NOISE}
        if differs_in_noise and variant_outcomes.place(changed) == START:
            size = "full batch" if flat[BATCH] == "full" else f"batch {flat[BATCH]}"
            at[name] = f"with {size}" + (f" with the noise of {changed[NOISE]}" if NOISE in changed else "")
    return [*findings, *_ratios(events, at)]


def _judge(events: pd.DataFrame, levels: Mapping[str, float], slope: Slopes, setting: _Setting) -> Finding:
    """Return the verdict on one setting.

    Args:
        events: the table `events`.
        levels: the setting's value, by condition.
        slope: slope of log t_g on the log of the setting.
        setting: name, rule and words.
    """
    values = sorted({level for level in levels.values() if level > 0})
    fitted, bounds = ([level for level in values if np.log(level) in of] for of in (slope.fitted, slope.bounds))
    if reason := unmet({f"in grokking, {what}": of for what, of in grokked(steps_of_events(events, BASE)).items()}):
        return not_testable(reason, SPEED)
    if len(fitted) < LEAST_LEVELS:
        reason = f"a slope needs {LEAST_LEVELS} levels of {setting.name} at which some replica generalises"
        return not_testable(f"{reason}, and there are {len(fitted)}: {_listed(fitted)}", SPEED)
    if slope.censored > MOST_CENSORED:
        reason = f"{slope.censored:.0%} of the runs at {setting.name} {_listed(fitted)} did not generalise"
        return not_testable(f"{reason}, and at most {MOST_CENSORED:.0%} may be censored", SPEED)
    decision = decide(slope.values, setting.rule)
    sentence = (
        f"Steps to generalise change as {setting.name} to the power {written(decision.estimate)}:"
        f" {outcome(decision, setting.words)}. The levels are {_listed(fitted)}."
    )
    if bounds:
        sentence += f" A bound alone comes from {_listed(bounds)}."
    return primary(SPEED, setting.unit, decision, sentence)


def _ratios(events: pd.DataFrame, at: Mapping[str, str]) -> Iterator[Finding]:
    """Yield t_g over grokking's, by condition; `at` gives the words of each."""
    base = variant_outcomes.left(events, BASE, START)
    median = median_time(base["steps"], base["censored"]).time
    for name, where in at.items():
        rows = variant_outcomes.left(events, name, START)
        finding = beside(f"steps {where}", RATIO, variant_outcomes.log_ratio(rows, base))
        known = rows.dropna(subset=["steps"])
        ended, total = int((~rows["censored"]).sum()), len(rows)
        if ended:
            sentence = f"{finding.sentence} {ended} of {total} replicas generalised."
        elif known.empty:
            sentence = f"Steps {where}: no replica was trained."
        else:
            horizon = known["steps"].min()
            sentence = f"Steps {where}: no replica generalised within {horizon:,.0f} steps"
            sentence += f", at least {horizon / median:.1f} times grokking's steps." if np.isfinite(median) else "."
        yield replace(finding, sentence=sentence)


def _listed(levels: list[float]) -> str:
    """Write levels as a list in words."""
    words = [f"{level:g}" for level in levels] or ["none"]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
