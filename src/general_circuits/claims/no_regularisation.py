"""Claim: a full batch without regularisation still groks, but much less; a perfect step size would prevent it.

Registered before this rule was applied to any result. It concerns conditions that train on full batches without
weight decay.

- The horizon of a replica is five times the t_g of the same replica of grokking. The gain is validation accuracy at
  the first evaluation from the horizon on, minus its plateau: the mean of three evaluations from t_m on. The first
  version read the end of training, at 1.3 times grokking's t_g. That is too short to say that a network never groks.
- groks: the gain with Adam and cross-entropy in float64. Supported above 0.1, contradicted below 0.02. The first
  version had float32. There a loss below 1e-7 rounds to 0, so that learning stops for a reason that the claim does not
  mean. Its threshold of contradiction was 0.05; a longer horizon makes less noise count.
- less: grokking's gain minus that gain, at the same horizon. Supported above 0.1, contradicted below 0. Where
  grokking's run ends before its horizon, it is read at its end, which is after t_g.
- step size: the gain with gradient descent and a line search, of cross-entropy in float64 too. Supported below 0.05: a
  line search then prevents grokking. Contradicted above 0.1. Precondition, unless it is contradicted: at least four
  fifths of the replicas of gradient descent with a fixed rate gain more than 0.1. A line search cannot prevent what
  does not happen. This was added after a result was seen: the part was supported, though a fixed rate gained
  nothing either.
- Preconditions, each in at least four fifths of the replicas: grokking generalises; the condition trains up to the
  horizon; it memorises by then; and it does not diverge. A replica that fails one has no value.
- Beside it, for every optimiser, precision and loss: the gain at the horizon, or at the end of a shorter run; and t_g
  over grokking's t_g. A replica that never generalised counts with its last step, so that the ratio is a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.accuracy_gains import HORIZON, gains
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import estimate
from general_circuits.analysis.preconditions import ENOUGH, unmet
from general_circuits.analysis.variants import BASE, BATCH, DECAY, Conditions
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    BETWEEN,
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    Rule,
    lacking,
    not_testable,
    outcome,
    part,
    primary,
    written,
)

GROKS = Rule(supported=0.1, contradicted=0.02)
LESS = Rule(supported=0.1, contradicted=0.0)
PREVENTED = Rule(supported=0.05, contradicted=0.1, is_below=True)
UNIT = "validation accuracy gained"
OPTIMISER, LOSS, PRECISION = "optimiser.optimiser", "optimiser.loss", "optimiser.loss_precision"
ADAM = ("adamw", "adam")
"""Update rules that count as Adam; without decay they are the same."""
SEARCH, FIXED_RATE = ("line_search",), ("sgd",)


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `metrics` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    bare = [name for name in conditions if conditions[name][DECAY] == 0 and conditions[name][BATCH] == "full"]
    t_g = steps_of_events(tables["events"], BASE)["generalised"]
    read = {name: gains(tables["metrics"], tables["events"], name, HORIZON * t_g) for name in [BASE, *bare]}
    adam, search, fixed = (read.get(_first(conditions, bare, rules)) for rules in (ADAM, SEARCH, FIXED_RATE))
    findings = [
        _finding("groks", adam, t_g, GROKS),
        _finding("less", adam, t_g, LESS, than=read[BASE]["gain"]),
        _step_size(search, fixed, t_g),
    ]
    for name in bare:
        findings += _beside(name, conditions[name], read[name], tables["events"], t_g)
    return findings


def _first(conditions: Conditions, bare: list[str], optimisers: tuple[str, ...]) -> str:
    """Return the first condition with one of these optimisers and cross-entropy in float64; empty without one."""
    for name in bare:
        is_precise = conditions[name][LOSS] == "cross_entropy" and conditions[name][PRECISION] == "float64"
        if is_precise and conditions[name][OPTIMISER] in optimisers:
            return name
    return ""


WORDS = {
    "groks": {
        SUPPORTED: "it groks",
        CONTRADICTED: "it does not grok",
        BETWEEN: "it gains a little",
        UNDECIDED: "it is not shown whether it groks",
    },
    "less": {
        SUPPORTED: "the gain is much smaller without regularisation",
        CONTRADICTED: "the gain is no smaller without regularisation",
        BETWEEN: "the gain is a little smaller without regularisation",
        UNDECIDED: "it is not shown whether the gain is smaller without regularisation",
    },
    "step size": {
        SUPPORTED: "the line search prevents grokking",
        CONTRADICTED: "it groks despite the line search",
        BETWEEN: "it gains a little despite the line search",
        UNDECIDED: "it is not shown whether the line search prevents grokking",
    },
}
SUBJECTS = {
    "groks": "Adam on full batches without decay gains",
    "less": "Regularisation increases the gain by",
    "step size": "Gradient descent with a line search gains",
}


def _finding(what: str, arm: pd.DataFrame | None, t_g: pd.Series, rule: Rule, than: pd.Series | None = None) -> Finding:
    """Judge one part of the claim.

    Args:
        what: name of the part.
        arm: gains of the condition, as from `gains`; None where the study has none.
        t_g: grokking's t_g by replica, NaN where it is censored.
        rule: thresholds.
        than: gains of grokking, from which the condition's are subtracted; None to judge the condition's own.
    """
    if arm is None:
        rules = "line search" if what == "step size" else "Adam"
        return lacking(f"no {rules} on full batches without decay, of cross-entropy in float64", part(what))
    if reason := _unmet(arm, t_g):
        return not_testable(reason, part(what))
    own = arm["gain"].where(arm["last"] >= HORIZON * t_g)
    decision = decide(own if than is None else than - own, rule)
    sentence = (
        f"{SUBJECTS[what]} {written(decision.estimate)} of validation accuracy within five times grokking's t_g:"
        f" {outcome(decision, WORDS[what])}."
    )
    return primary(part(what), UNIT, decision, sentence)


def _step_size(search: pd.DataFrame | None, fixed: pd.DataFrame | None, t_g: pd.Series) -> Finding:
    """Judge the part on the step size; arguments as in `_finding`, `fixed` of gradient descent with a fixed rate."""
    found = _finding("step size", search, t_g, PREVENTED)
    if found.reason or found.verdict == CONTRADICTED:
        return found
    if fixed is None:
        return lacking("no gradient descent with a fixed rate beside its line search", found.contrast)
    groks = fixed["gain"].where(fixed["last"] >= HORIZON * t_g) > GROKS.supported
    reason = unmet({f"gradient descent with a fixed rate gains more than {GROKS.supported}": groks})
    return not_testable(reason, found.contrast) if reason else found


def _unmet(arm: pd.DataFrame, t_g: pd.Series) -> str:
    """Return the first precondition that too few replicas meet, in words; empty if all are met."""
    trained = arm["last"] / t_g
    if reason := unmet({"grokking, whose t_g sets the horizon, generalises": t_g.notna()}):
        return reason
    if (trained >= HORIZON).mean() < ENOUGH:
        return f"trained for {_times(trained)} grokking's t_g; five times are needed"
    return unmet(
        {
            "training does not diverge up to five times grokking's t_g": arm["alive"],
            "training examples are memorised within five times grokking's t_g": arm["memorised"],
        }
    )


def _times(multiples: pd.Series) -> str:
    """Write multiples over the replicas, such as "1.2 to 1.4 times"."""
    ends = [f"{end:.1f}" for end in (multiples.min(), multiples.max())]
    return " to ".join(dict.fromkeys(ends)) + " times"


def _beside(
    name: str, settings: Mapping[str, Any], arm: pd.DataFrame, events: pd.DataFrame, t_g: pd.Series
) -> list[Finding]:
    """Return the gain of one condition, and its t_g over grokking's."""
    how = f"{settings[OPTIMISER]}, {settings[LOSS].replace('_', ' ')}, {settings[PRECISION]}"
    gain = estimate(arm["gain"])
    read_at = (arm["last"] / t_g).clip(upper=HORIZON)
    gained = f"{name} ({how}) gains {written(gain)} of validation accuracy in {_times(read_at)} grokking's t_g"
    findings = [Finding(f"gain, {name}", UNIT, gain, f"{gained}.", tuple(arm["gain"]))]
    rows = events[(events["condition"] == name) & (events["event"] == "generalised")].set_index("replica")
    censored = rows["censored"].astype(bool)
    ratios = np.log10(rows["step"].reindex(t_g.index) / t_g)
    later = f"{(~censored).sum()} of {len(rows)} replicas of {name} generalise"
    # A censored ratio is at least as large as its value, and so is the mean.
    bound = "at least " if censored.any() else ""
    text = f"{later}; log10 of t_g over grokking's t_g is {bound}{written(estimate(ratios))}."
    unit = f"log10 of the ratio{', a lower bound' if bound else ''}"
    return [*findings, Finding(f"t_g over grokking's, {name}", unit, estimate(ratios), text, tuple(ratios))]
