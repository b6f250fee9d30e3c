"""Claim: with equal predictions at the start, the general circuit gradually replaces the shallow ones.

Registered before any result was seen, for planted duels without decay, with the most memorisers; one verdict for SGD
and one for each other optimiser:

- Two numbers at the end of the duel: the general side's share of the margin, and the shallow side's part relative to
  its start.
- Supported ("replaces") where the intervals show a share above 0.6 and a shallow part below half. Contradicted where
  either is excluded: the share is below 0.6, or the shallow part above half. Otherwise undecided. A share above 0.6
  with a shallow part above half is "outgrows", which is no replacement.
- p of a support is the larger of the two; p of a contradiction is twice the smaller.
- Without decay, since the source explains the replacement by reinforcement. With decay, efficiency is a rival account.
- Beside it: decay of both sides or of one, other numbers of parts, shares, temperatures, and the null controls.
- Also beside it: the toy, with parameters shared inside the general circuit and without. It is trained on all pairs,
  and its general circuit knows them all; shown is the general share at the end.
- Replicas in which a module does not know its examples are left out; the sentence counts them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis import duel_outcomes
from general_circuits.analysis.estimates import Estimate, estimate
from general_circuits.claims.findings import (
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    counted,
    written,
)
from general_circuits.formatting import plain

SHARE, LEFT = 0.6, 0.5
"""Thresholds of a replacement: the general share lies above the first, the remaining shallow part below the second."""
UNIT = "general share of the margin"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted`, `modules` and `toy` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])
    among = fair.index[fair]

    def share(rows: pd.DataFrame, null: float = 0.5) -> Estimate:
        return estimate(duel_outcomes.at_end(rows, "share").reindex(among)["general"], null)

    def left(rows: pd.DataFrame, null: float = LEFT) -> Estimate:
        ratios = duel_outcomes.at_end(rows, "margin") / duel_outcomes.at_start(rows, "margin")
        return estimate(ratios.reindex(among)["shallow"], null)

    findings: list[Finding] = []
    beside: list[tuple[str, str, Estimate]] = []
    for optimiser in duel_outcomes.optimisers(planted):
        rows = duel_outcomes.duels(planted, optimiser)
        findings.append(_registered(optimiser, share(rows, SHARE), left(rows), len(fair)))
        beside.append((f"shallow part at the end, {optimiser}", "share of its start", left(rows)))
        beside += [
            (f"{name}, {optimiser}", UNIT, share(duel_outcomes.duels(planted, optimiser, **other)))
            for name, other in _others(planted, optimiser)
        ]
    beside += list(_of_toys(tables["toy"]))
    findings += [
        Finding(contrast, unit, result, f"{contrast[0].upper()}{contrast[1:]}: {written(result, is_change=False)}.")
        for contrast, unit, result in beside
    ]
    return findings


def _others(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel beside the registered one, and the settings in which it differs."""
    base, rows = duel_outcomes.registered(planted), planted[planted["optimiser"] == optimiser]
    most = float(max(rows["general_decay"].max(), rows["shallow_decay"].max()))
    if most > 0:
        yield f"decay {most:g}", {"general_decay": most, "shallow_decay": most}
    yield from duel_outcomes.null_controls()
    if most > 0:
        yield "decay of the general side alone", {"general_decay": most}
        yield "decay of the shallow side alone", {"shallow_decay": most}
    yield from duel_outcomes.with_other_parts(planted, optimiser)
    for column, name in (("initial_margin", "margin {:g} at the start"), ("initial_share", "share {:g} at the start")):
        for value in sorted(set(rows[column]) - {base[column]}):
            yield name.format(value), {column: value}
    for size in sorted(set(rows["batch"]) - {base["batch"]}):
        yield f"batch {size or 'of all'}", {"batch": size}
    yield from duel_outcomes.with_wrong_labels(planted, optimiser)


def _of_toys(toy: pd.DataFrame) -> Iterator[tuple[str, str, Estimate]]:
    """Yield the contrast, unit and final general share of toys whose general circuit knows all pairs."""
    rows = duel_outcomes.toys(toy, coverage=int(toy["coverage"].max()))
    shares = duel_outcomes.toy_shares(rows[rows["step"] == rows["step"].max()])["share"].reset_index()
    for optimiser in duel_outcomes.optimisers(toy):
        of_rule = shares[shares["optimiser"] == optimiser]
        decays = sorted({0.0, of_rule["weight_decay"].max()} & set(of_rule["weight_decay"]))
        for (attention, sharing), group in of_rule.groupby(["attention", "sharing"], observed=True):
            for decay in decays:
                values = group.loc[group["weight_decay"] == decay, "share"]
                name = f"toy: {optimiser}, {attention} attention, {sharing}, decay {decay:g}"
                yield name, "general share of right logits", estimate(values, 0.5)


def _registered(optimiser: str, share: Estimate, left: Estimate, replicas: int) -> Finding:
    grows, shrinks = share.low > SHARE, left.high < LEFT
    # A mean on the wrong side of its threshold is no evidence, however small its p.
    both = np.maximum(share.p_value, float(share.mean <= SHARE)), np.maximum(left.p_value, float(left.mean >= LEFT))
    verdict, outcome, p_value = UNDECIDED, "not shown either way", float(np.max(both))
    if min(share.n, left.n) < ENOUGH_REPLICAS:
        outcome = "too few replicas to say"
    elif grows and shrinks:
        verdict, outcome = SUPPORTED, "the general side replaces the shallow side"
    elif share.high < SHARE or left.low > LEFT:
        verdict = CONTRADICTED
        against = [
            result.p_value for result, is_out in ((share, share.high < SHARE), (left, left.low > LEFT)) if is_out
        ]
        p_value = min(1.0, 2 * min(against))
        outcome = (
            "the general side outgrows the shallow side but does not replace it"
            if grows
            else "the general side does not replace the shallow side"
        )
    sentence = (
        f"With {optimiser} and no decay, the general side's share of the margin went from a half to"
        f" {written(share, is_change=False)}, and {written(left, is_change=False)} of the shallow side's part was left."
        f" A replacement needs a share above {plain(SHARE)} and less than {plain(LEFT)} left: {outcome}."
        f" Over {counted(share.n, replicas)}."
    )
    return Finding(f"{REGISTERED}, {optimiser}", UNIT, dataclasses.replace(share, p_value=p_value), sentence, verdict)
