"""Claim: a shallow circuit decays on batches that lack its example, while general circuits recover.

Registered before any result was seen, for planted duels with SGD, without decay, with the most memorisers:

- T is defined in `update_share`: the change that a step makes to a module's part in the margins of examples outside
  its batch. T_M is the memorisers' T, T_G the generaliser's.
- Supported if the interval of T_M is below 0 and that of T_G − T_M is above 0. Contradicted if either interval is on
  the other side of 0. Otherwise undecided.
- p of a support is the larger of the two.
- Beside it: other optimisers and scalings. In further duels a tenth of the examples is absent for the first half. For
  these, it shows each side's part in the absent examples' margins at their return, and the steps until half of its
  loss is regained.
- Replicas in which a module does not know its examples are left out; the sentence counts them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

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
    beside,
    counted,
    written,
)


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted` and `modules` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])
    among = fair.index[fair]

    def transfers(rows: pd.DataFrame) -> pd.DataFrame:
        return duel_outcomes.transfers(rows).reindex(among)

    values = transfers(duel_outcomes.duels(planted, "sgd"))
    shallow, difference = estimate(values["shallow"]), estimate(values["general"] - values["shallow"])
    findings = [_registered(shallow, difference, len(fair))]
    contrasts: list[tuple[str, str, Estimate]] = [
        ("general minus shallow, sgd", duel_outcomes.TRANSFER_UNIT, difference)
    ]
    for optimiser in duel_outcomes.optimisers(planted):
        if optimiser != "sgd":
            contrasts.append(
                (
                    f"with {optimiser}",
                    duel_outcomes.TRANSFER_UNIT,
                    estimate(transfers(duel_outcomes.duels(planted, optimiser))["shallow"]),
                )
            )
        for scaling in duel_outcomes.SCALINGS[1:]:
            rows = duel_outcomes.duels(planted, optimiser, scaling=scaling)
            contrasts.append(
                (f"scale put {scaling}, {optimiser}", duel_outcomes.TRANSFER_UNIT, estimate(transfers(rows)["shallow"]))
            )
        away = duel_outcomes.duels(planted, optimiser, examples="away", order="away")
        halves = duel_outcomes.halves_regained(away).reindex(among)
        middle = away[away["step"] <= away["step"].max() / 2]
        left = (duel_outcomes.at_end(middle, "margin") / duel_outcomes.at_start(middle, "margin")).reindex(among)
        for side in duel_outcomes.SIDES:
            contrasts += [
                (f"absent margins at return, {side}, {optimiser}", "share of the start", estimate(left[side])),
                (f"half of the loss regained, {side}, {optimiser}", "steps after return", estimate(halves[side])),
            ]
    findings += [beside(contrast, unit, result) for contrast, unit, result in contrasts]
    return findings


def _registered(shallow: Estimate, difference: Estimate, replicas: int) -> Finding:
    verdict, outcome = UNDECIDED, "not shown"
    # A mean on the wrong side is no evidence for the claim, however small its p. NaN in either makes p NaN.
    p_value = float(np.max([np.maximum(shallow.p_value, float(shallow.mean >= 0)), difference.p_value]))
    if min(shallow.n, difference.n) < ENOUGH_REPLICAS:
        outcome = "too few replicas to say"
    elif shallow.high < 0 and difference.low > 0:
        verdict, outcome = SUPPORTED, "the memoriser's part is forgotten, and more than the generaliser's"
    elif shallow.low > 0 or difference.high < 0:
        verdict = CONTRADICTED
        is_kept = shallow.low > 0
        outcome = "the memoriser's part is not forgotten" if is_kept else "the generaliser's part is forgotten more"
        # Either interval contradicts, so its p counts twice (Bonferroni).
        against = [(shallow.p_value, is_kept), (difference.p_value, difference.high < 0)]
        p_value = min(1.0, 2 * min(p for p, is_against in against if is_against))
    sentence = (
        "Steps on other examples change a memoriser's part in a margin by"
        f" {written(shallow)} of itself per 1,000 steps, without decay. They change the generaliser's part by"
        f" {written(difference)} more: {outcome}. Over {counted(shallow.n, replicas)}."
    )
    return Finding(
        REGISTERED, duel_outcomes.TRANSFER_UNIT, dataclasses.replace(shallow, p_value=p_value), sentence, verdict
    )
