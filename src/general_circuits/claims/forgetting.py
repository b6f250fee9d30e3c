"""Claim: a shallow circuit decays on batches that lack its example, while general circuits recover.

Registered before this rule was applied to any result, for planted duels without decay; two parts for each update rule:

- T is defined in `update_share`: the change that a batch's own gradient makes to a module's part in other examples'
  margins. T_M is the memorisers' T, T_G the generaliser's. The first version took whole steps, into
  which momentum carries an example's own gradients.
- "memorisers decay": T_M at the most parts. Supported below 0, contradicted above 0.
- "coverage": T_G − T_M at the most parts, minus T_G − T_M at one part. Supported above 0, contradicted below 0. A
  memoriser of one part serves all examples, so it is the control of generality. The first version had no control, and
  judged both conditions at once.
- Every update rule is judged. The first version judged SGD alone.
- Precondition: all modules know their examples, and no duel diverges, in at least four fifths of the replicas.
  Replicas in which a module does not know its examples are left out; the sentence counts them.
- Beside it: T_M by whole steps; T_M and coverage in the other scalings; T_G − T_M at the most parts and at one part. In
  further duels a tenth of the examples is absent for the first half. For these, it shows each side's part in the absent
  examples' margins at their return, and the steps until half of its loss is regained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.decisions import decide
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

DECAY = Rule(supported=0.0, contradicted=0.0, is_below=True)
COVERAGE = Rule(supported=0.0, contradicted=0.0)
DECAY_WORDS = {
    SUPPORTED: "memorisers are forgotten",
    CONTRADICTED: "memorisers are reinforced by other examples too",
    BETWEEN: "memorisers stay as they are",
    UNDECIDED: "its sign is not shown",
}
COVERAGE_WORDS = {
    SUPPORTED: "serving more examples protects from it",
    CONTRADICTED: "serving more examples makes it worse",
    BETWEEN: "the number of examples makes no difference",
    UNDECIDED: "its sign is not shown",
}


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted` and `modules` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])
    optimisers = duel_outcomes.optimisers(planted)
    findings = [finding for optimiser in optimisers for finding in _registered(planted, fair, optimiser)]
    for optimiser in optimisers:
        findings += _beside(planted, fair, optimiser)
    return findings


def _transfers(rows: pd.DataFrame, fair: pd.Series, column: str = "fresh_transfer") -> pd.DataFrame:
    """Return T of each side and their `difference`, a row for each replica, NaN for unfair ones."""
    values = duel_outcomes.transfers(rows, column).reindex(fair.index).where(fair)
    return values.assign(difference=values["general"] - values["shallow"])


def _registered(planted: pd.DataFrame, fair: pd.Series, optimiser: str) -> Iterator[Finding]:
    unit, parts = duel_outcomes.TRANSFER_UNIT, duel_outcomes.registered(planted)["parts"]
    rows, control = duel_outcomes.duels(planted, optimiser), duel_outcomes.duels(planted, optimiser, parts=1)
    contrast = part(f"memorisers decay, {optimiser}")
    if reason := duel_outcomes.unfit(fair, rows):
        yield not_testable(reason, contrast)
    else:
        decision = decide(_transfers(rows, fair)["shallow"], DECAY)
        sentence = (
            f"Steps of {optimiser} on other examples change the part of one of {parts} memorisers in a margin by"
            f" {written(decision.estimate)} of itself per 1,000 steps, without decay:"
            f" {outcome(decision, DECAY_WORDS)}."
        )
        yield primary(contrast, unit, decision, sentence)
    contrast = part(f"coverage, {optimiser}")
    if reason := duel_outcomes.unfit(fair, rows, control):
        yield not_testable(reason, contrast)
    else:
        most, one = (_transfers(of_duel, fair)["difference"] for of_duel in (rows, control))
        decision = decide(most - one, COVERAGE)
        sentence = (
            f"Take how much more steps of {optimiser} on other examples change a generaliser's part in a margin than a"
            f" memoriser's. From one memoriser of all examples to {parts} of a part each, it changes by"
            f" {written(decision.estimate)} of a part per 1,000 steps: {outcome(decision, COVERAGE_WORDS)}."
        )
        yield primary(contrast, unit, decision, sentence)


def _beside(planted: pd.DataFrame, fair: pd.Series, optimiser: str) -> Iterator[Finding]:
    unit, parts = duel_outcomes.TRANSFER_UNIT, duel_outcomes.registered(planted)["parts"]

    def of(column: str = "fresh_transfer", **other: Any) -> pd.DataFrame:
        return _transfers(duel_outcomes.duels(planted, optimiser, **other), fair, column)

    if optimiser != "sgd":
        whole = of("transfer")["shallow"]
        yield beside(f"memorisers' part by whole steps, which carry its own gradients, {optimiser}", unit, whole)
    yield beside(f"general minus shallow at {parts} parts, {optimiser}", unit, of()["difference"])
    yield beside(f"general minus shallow at 1 part, {optimiser}", unit, of(parts=1)["difference"])
    yield beside(f"memorisers' part at 1 part, {optimiser}", unit, of(parts=1)["shallow"])
    for scaling in duel_outcomes.SCALINGS:
        is_judged = scaling == duel_outcomes.registered(planted)["scaling"]
        if is_judged or duel_outcomes.duels(planted, optimiser, scaling=scaling).empty:
            continue
        most, one = of(scaling=scaling), of(scaling=scaling, parts=1)
        yield beside(f"memorisers' part, scale {scaling}, {optimiser}", unit, most["shallow"])
        yield beside(f"coverage, scale {scaling}, {optimiser}", unit, most["difference"] - one["difference"])
    away = duel_outcomes.duels(planted, optimiser, examples="away", order="away")
    halves = duel_outcomes.halves_regained(away).reindex(fair.index).where(fair)
    middle = away[away["step"] <= away["step"].max() / 2]
    left = duel_outcomes.at_end(middle, "margin") / duel_outcomes.at_start(middle, "margin")
    left = left.reindex(fair.index).where(fair)
    for side in duel_outcomes.SIDES:
        yield beside(f"absent margins at return, {side}, {optimiser}", "share of the start", left[side], False)
        yield beside(f"half of the loss regained, {side}, {optimiser}", "steps after return", halves[side], False)
