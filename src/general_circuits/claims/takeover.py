"""Claim: with equal predictions at the start, the general circuit gradually replaces the shallow ones.

Registered before this rule was applied to any result, for planted duels with the most parts. Each update rule is judged
without decay and with the strongest decay of both sides, in two parts each:

- "outgrows": the general side's share of the margin at the end. Supported above 0.6, contradicted below 0.55.
- "replaces": the shallow side's part in the margin at the end, relative to its start. Supported below 0.5,
  contradicted above 1. Without decay a contradiction is expected: gradient flow of the toy (docs/duels.md) says that
  nothing shrinks there. The first version judged both at once, so that it could never be supported without decay.
- Decay can shrink both sides. A shallow part that falls while "outgrows" is not supported is no replacement. Then
  "replaces" is not testable.
- Duels last until their shares settle. A share has settled if it changes by less than 0.002 per 100 steps over the last
  fifth of the duel. A part is not testable if more than a fifth of the replicas have not settled; the sentence counts
  those that have not. The first version cut duels at 500 steps, while shares still rose.
- Other preconditions: all modules know their examples, and no duel diverges, in at least four fifths of the replicas.
  Replicas in which a module does not know its examples are left out; the sentence counts them.
- Beside each: coverage, which is the share at the most parts minus the share at one part; the share at one part; and
  the drift of the share at the end. Generality is the number of examples that a circuit serves, and a memoriser of one
  part serves all. So a share at one part is the control.
- Also beside: shorter duels with decay of one side, other margins and shares at the start, batches and labels, and the
  null controls. They are read at their end, and the judged duel is read at that step too.
- Also beside: the toy, with parameters shared inside the general circuit and without. It is trained on all pairs,
  and its general circuit knows them all; shown is the general share at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.preconditions import unmet
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
from general_circuits.formatting import plain
from general_circuits.registered import rows_of

OUTGROWS = Rule(supported=0.6, contradicted=0.55)
REPLACES = Rule(supported=0.5, contradicted=1.0, is_below=True)
UNIT, LEFT_UNIT = "general share of the margin", "share of its start"
OUTGROWS_WORDS = {
    SUPPORTED: "it outgrows the shallow side",
    CONTRADICTED: "it does not outgrow the shallow side",
    BETWEEN: "it outgrows the shallow side, but by little",
    UNDECIDED: "it is not shown whether it outgrows the shallow side",
}
REPLACES_WORDS = {
    SUPPORTED: "the general side replaces it",
    CONTRADICTED: "it grows, so nothing replaces it",
    BETWEEN: "it shrinks, but by less than half",
    UNDECIDED: "it is not shown whether the general side replaces it",
}


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted`, `modules` and `toy` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])
    optimisers = duel_outcomes.optimisers(planted)
    judged = [(optimiser, *both) for optimiser in optimisers for both in _decays(planted, optimiser)]
    findings = [finding for how in judged for finding in _registered(planted, fair, *how)]
    for how in judged:
        findings += _beside(planted, fair, *how)
    for optimiser in optimisers:
        findings += _variants(planted, fair, optimiser)
    return [*findings, *_of_toys(tables["toy"])]


def _decays(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the names of parts end in, without and with decay, and the settings of these duels."""
    yield optimiser, {}
    if decay := duel_outcomes.most_decay(planted, optimiser):
        yield f"{optimiser}, decay", decay


def _share(rows: pd.DataFrame, fair: pd.Series) -> pd.Series:
    """Return the general share at the end of a duel, (replica), NaN for unfair replicas."""
    return duel_outcomes.at_end(rows, "share")["general"].reindex(fair.index).where(fair)


def _left(rows: pd.DataFrame, fair: pd.Series) -> pd.Series:
    """Return the shallow part at the end of a duel, relative to its start, (replica), NaN for unfair replicas."""
    ratios = duel_outcomes.at_end(rows, "margin") / duel_outcomes.at_start(rows, "margin")
    return ratios["shallow"].reindex(fair.index).where(fair)


def _registered(
    planted: pd.DataFrame, fair: pd.Series, optimiser: str, name: str, decays: dict[str, Any]
) -> Iterator[Finding]:
    rows = duel_outcomes.duels(planted, optimiser, **decays)
    outgrows, replaces = part(f"outgrows, {name}"), part(f"replaces, {name}")
    if reason := duel_outcomes.unfit(fair, rows) or _unsettled(rows, fair):
        yield from (not_testable(reason, contrast) for contrast in (outgrows, replaces))
        return
    share, left = decide(_share(rows, fair), OUTGROWS), decide(_left(rows, fair), REPLACES)
    with_decay = f"decay {decays['general_decay']:g}" if decays else "no decay"
    steps, start = rows["step"].max(), duel_outcomes.registered(planted)["initial_share"]
    moving = int((~duel_outcomes.is_settled(rows)).sum())
    caution = f" The share still moves in {moving} of {len(fair)} replicas." if moving else ""
    sentence = (
        f"With {optimiser} and {with_decay}, the general side's share of the margin goes from {start:g} to"
        f" {written(share.estimate, is_change=False)} in {steps:,} steps: {outcome(share, OUTGROWS_WORDS)}.{caution}"
    )
    yield primary(outgrows, UNIT, share, sentence)
    if left.verdict == SUPPORTED and share.verdict != SUPPORTED:
        reason = (
            f"the shallow side keeps {written(left.estimate, is_change=False)} of its part, but the general side is not"
            f" shown to outgrow it (share {written(share.estimate, is_change=False)}), so decay shrinks both"
        )
        yield not_testable(reason, replaces)
        return
    expected = "" if decays else " Gradient flow without decay shrinks nothing, so theory expects a contradiction."
    sentence = (
        f"With {optimiser} and {with_decay}, the shallow side's part in the margin goes from 1 to"
        f" {written(left.estimate, is_change=False)}, relative to its start, in {steps:,} steps:"
        f" {outcome(left, REPLACES_WORDS)}.{expected}{caution}"
    )
    yield primary(replaces, LEFT_UNIT, left, sentence)


def _unsettled(rows: pd.DataFrame, fair: pd.Series) -> str:
    """Return that too few shares have settled, in words; empty if enough have."""
    settled = duel_outcomes.is_settled(rows).reindex(fair.index, fill_value=False)
    reason = unmet({f"the share had settled by step {rows['step'].max():,}": settled})
    drift = plain(float(duel_outcomes.drifts(rows).abs().max()), digits=4)
    return f"{reason}; it still changes by up to {drift} per 100 steps" if reason else ""


def _beside(
    planted: pd.DataFrame, fair: pd.Series, optimiser: str, name: str, decays: dict[str, Any]
) -> Iterator[Finding]:
    rows = duel_outcomes.duels(planted, optimiser, **decays)
    coverage = duel_outcomes.coverage(planted, optimiser, lambda of_duel: _share(of_duel, fair), **decays)
    yield beside(f"coverage, {name}", "change of the general share", coverage)
    drift = "change of the general share per 100 steps"
    yield beside(f"drift at the end, {name}", drift, duel_outcomes.drifts(rows))
    for parts, other in duel_outcomes.with_other_parts(planted, optimiser):
        of_duel = duel_outcomes.duels(planted, optimiser, **decays, **other)
        yield beside(f"{parts}, {name}", UNIT, _share(of_duel, fair), is_change=False)
        yield beside(f"drift at the end, {parts}, {name}", drift, duel_outcomes.drifts(of_duel))


def _variants(planted: pd.DataFrame, fair: pd.Series, optimiser: str) -> Iterator[Finding]:
    """Yield the shares of duels that are not judged, and of the judged one at the step at which these end."""
    variants = {name: duel_outcomes.duels(planted, optimiser, **other) for name, other in _others(planted, optimiser)}
    judged = duel_outcomes.duels(planted, optimiser)
    ends = sorted({int(rows["step"].max()) for rows in variants.values() if len(rows)})
    variants = {f"the judged duel at step {end:,}": judged[judged["step"] <= end] for end in ends} | variants
    for name, rows in variants.items():
        if len(rows):
            yield beside(f"{name}, {optimiser}", UNIT, _share(rows, fair), is_change=False)


def _others(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel that is not judged, and the settings in which it differs."""
    base = duel_outcomes.registered(planted)
    rows = rows_of(planted, optimiser=optimiser)
    yield from duel_outcomes.null_controls()
    for side in duel_outcomes.SIDES:
        if decay := float(rows[f"{side}_decay"].max()):
            yield f"decay of the {side} side alone", {f"{side}_decay": decay}
    for column, name in (("initial_margin", "margin {:g} at the start"), ("initial_share", "share {:g} at the start")):
        for value in sorted(set(rows[column]) - {base[column]}):
            yield name.format(value), {column: value}
    for size in sorted(set(rows["batch"]) - {base["batch"]}):
        yield f"batch {size or 'of all'}", {"batch": size}
    yield from duel_outcomes.with_wrong_labels(planted, optimiser)


def _of_toys(toy: pd.DataFrame) -> Iterator[Finding]:
    """Yield the final general share of toys whose general circuit knows all pairs."""
    rows = duel_outcomes.toys(toy, coverage=int(toy["coverage"].max()))
    shares = duel_outcomes.toy_shares(rows[rows["step"] == rows["step"].max()])["share"].reset_index()
    for optimiser in duel_outcomes.optimisers(toy):
        of_rule = shares[shares["optimiser"] == optimiser]
        decays = sorted({0.0, of_rule["weight_decay"].max()} & set(of_rule["weight_decay"]))
        for (attention, sharing), group in of_rule.groupby(["attention", "sharing"], observed=True):
            for decay in decays:
                values = group.loc[group["weight_decay"] == decay, "share"]
                name = f"toy: {optimiser}, {attention} attention, {sharing}, decay {decay:g}"
                yield beside(name, "general share of right logits", values, is_change=False)
