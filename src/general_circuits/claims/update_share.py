"""Claim: a general circuit gets more frequent and stronger updates than shallow ones that make the same predictions.

Registered before this rule was applied to any result, for planted duels without decay; a part for each update rule:

- A step changes a module's part in an example's margin. The change is relative to that part, and leaves the effect of
  decay out. T is the median of this change over the examples outside the step's batch. It is averaged over the first
  steps, as many as every duel has. The definition left the average over examples open. It is the median, since the
  ratio has no bound where a part nears 0.
- T counts the gradient of the batch alone, and all that it adds to the weights, now and through momentum later. A whole
  step of momentum or AdamW also carries the example's own gradients, from earlier batches with it. With SGD both are
  the same. The first version took whole steps.
- T_G is the generaliser's T, and T_M the T of the memoriser that knows the example. The estimate is T_G − T_M at the
  most parts, minus T_G − T_M at one part. The source defines generality by the number of examples that a circuit
  serves. A memoriser of one part serves all of them, so it is the control: it differs from a generaliser in all else.
  The first version had no control.
- Supported above 0, contradicted below 0. This must hold in each of three equivalent scalings; the least favourable
  decides.
- Precondition: all modules know their examples, and no duel diverges, in at least four fifths of the replicas.
  Replicas in which a module does not know its examples are left out; the sentence counts them.
- Beside it, for each scaling: the contrast, T_G − T_M at the most parts, and at one part. Then each side's T; the
  contrast of whole steps; the same difference within the batch; the share of steps that increase the part; with decay,
  whose effect is left out; with wrong labels; with other parts; and in the null controls, which should be 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.decisions import least_favourable
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

RULE = Rule(supported=0.0, contradicted=0.0)
WORDS = {
    SUPPORTED: "serving more examples brings more in each scaling",
    CONTRADICTED: "serving more examples brings less in one scaling or more",
    BETWEEN: "serving more examples brings nothing",
    UNDECIDED: "no sign is shown in all three scalings",
}


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted` and `modules` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])
    optimisers = duel_outcomes.optimisers(planted)
    findings = [_registered(planted, fair, optimiser) for optimiser in optimisers]
    for optimiser in optimisers:
        findings += _beside(planted, fair, optimiser)
    return findings


def _difference(rows: pd.DataFrame, fair: pd.Series, column: str = "fresh_transfer", scale: float = 1000) -> pd.Series:
    """Return the general side's mean of a column minus the shallow side's, (replica), NaN for unfair replicas."""
    values = duel_outcomes.by_side(rows, column).reindex(fair.index)
    return scale * (values["general"] - values["shallow"]).where(fair)


def _registered(planted: pd.DataFrame, fair: pd.Series, optimiser: str) -> Finding:
    contrast = part(optimiser)
    settings: list[dict[str, Any]] = [{"scaling": scaling} for scaling in duel_outcomes.SCALINGS]
    settings += [{**scaling, "parts": 1} for scaling in settings]
    if reason := duel_outcomes.unfit(fair, *(duel_outcomes.duels(planted, optimiser, **other) for other in settings)):
        return not_testable(reason, contrast)
    contrasts = {
        scaling: duel_outcomes.coverage(planted, optimiser, lambda rows: _difference(rows, fair), scaling=scaling)
        for scaling in duel_outcomes.SCALINGS
    }
    decision = least_favourable(contrasts, RULE)
    most = duel_outcomes.registered(planted)["parts"]
    sentence = (
        f"Take how much more steps of {optimiser} on other examples change a generaliser's part in a margin than a"
        f" memoriser's. From one memoriser of all examples to {most} of a part each, it changes by"
        f" {written(decision.estimate)} of a part per 1,000 steps. The least favourable of three equivalent scalings is"
        f" {decision.contrast}: {outcome(decision, WORDS)}."
    )
    return primary(contrast, duel_outcomes.TRANSFER_UNIT, decision, sentence)


def _beside(planted: pd.DataFrame, fair: pd.Series, optimiser: str) -> Iterator[Finding]:
    unit = duel_outcomes.TRANSFER_UNIT
    most = duel_outcomes.registered(planted)["parts"]

    def of(column: str = "fresh_transfer", scale: float = 1000, **other: Any) -> pd.Series:
        return _difference(duel_outcomes.duels(planted, optimiser, **other), fair, column, scale)

    for scaling in duel_outcomes.SCALINGS:
        if duel_outcomes.duels(planted, optimiser, scaling=scaling).empty:
            continue
        at_most, at_one = of(scaling=scaling), of(scaling=scaling, parts=1)
        yield beside(f"coverage, scale {scaling}, {optimiser}", unit, at_most - at_one)
        yield beside(f"general minus shallow at {most} parts, scale {scaling}, {optimiser}", unit, at_most)
        yield beside(f"general minus shallow at 1 part, scale {scaling}, {optimiser}", unit, at_one)
    values = duel_outcomes.transfers(duel_outcomes.duels(planted, optimiser)).reindex(fair.index)
    for side, name in (("general", "the generaliser's"), ("shallow", "the memorisers'")):
        yield beside(f"change of {name} part, {optimiser}", unit, values[side].where(fair))
    if optimiser != "sgd":
        whole = of("transfer") - of("transfer", parts=1)
        yield beside(f"coverage by whole steps, which carry an example's own gradients, {optimiser}", unit, whole)
    yield beside(f"general minus shallow within the batch, {optimiser}", unit, of("reinforcement"))
    yield beside(f"general minus shallow in steps forward, {optimiser}", "share of steps", of("frequency", 1))
    for name, other in _others(planted, optimiser):
        yield beside(f"general minus shallow, {name}, {optimiser}", unit, of(**other))


def _others(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel beside the judged ones, and the settings in which it differs."""
    if decay := duel_outcomes.most_decay(planted, optimiser):
        yield f"decay {decay['general_decay']:g}", decay
    yield from duel_outcomes.with_wrong_labels(planted, optimiser)
    for name, other in duel_outcomes.with_other_parts(planted, optimiser):
        if other["parts"] != 1:  # one part is the control, and stands by scaling
            yield name, other
    yield from duel_outcomes.null_controls()
