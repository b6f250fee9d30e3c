"""Does a shallow circuit decay on batches that lack its example, while general circuits recover?

Registered before any result was seen, of planted duels with SGD, without decay, of the most memorisers:

- T as in `update_share`: what a step does to a module's part in the margins of examples outside its batch. Supported
  where the intervals of T_M are below 0 and of T_G − T_M above 0; contradicted where either is on the other side; else
  undecided. p of a support is the larger of the two.
- Beside it: other optimisers and scalings; and duels in which a tenth of the examples stays away for the first half:
  what becomes of each side's part in their margins, and in how many steps after their return half of the loss is
  regained.
- Replicas in which a module does not know what it should are left out, and counted.
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
                (f"left of absent examples' margins, {side}, {optimiser}", "share of the start", estimate(left[side])),
                (f"half regained, {side}, {optimiser}", "steps after return", estimate(halves[side])),
            ]
    findings += [beside(contrast, unit, found) for contrast, unit, found in contrasts]
    return findings


def _registered(shallow: Estimate, difference: Estimate, replicas: int) -> Finding:
    verdict, outcome = UNDECIDED, "not shown"
    p_value = float(np.max([np.maximum(shallow.p_value, float(shallow.mean >= 0)), difference.p_value]))
    if min(shallow.n, difference.n) < ENOUGH_REPLICAS:
        outcome = "too few replicas to say"
    elif shallow.high < 0 and difference.low > 0:
        verdict, outcome = SUPPORTED, "it is forgotten, and more than the generaliser's"
    elif shallow.low > 0 or difference.high < 0:
        verdict = CONTRADICTED
        outcome = "it is not forgotten" if shallow.low > 0 else "the generaliser's is forgotten more"
        against = [(shallow.p_value, shallow.low > 0), (difference.p_value, difference.high < 0)]
        p_value = min(1.0, 2 * min(p for p, is_against in against if is_against))
    sentence = (
        "A step on other examples changes a memoriser's part in a margin, relative to that part and without decay, by"
        f" {written(shallow)} per 1,000 steps, and the generaliser's by {written(difference)} more: {outcome}."
        f" Over {counted(shallow.n, replicas)}."
    )
    return Finding(
        REGISTERED, duel_outcomes.TRANSFER_UNIT, dataclasses.replace(shallow, p_value=p_value), sentence, verdict
    )
