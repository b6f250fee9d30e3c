"""Claim: a general circuit gets more frequent and stronger updates than shallow ones that make the same predictions.

Registered before any result was seen, for planted duels with SGD, without decay, with the most memorisers:

- A step changes a module's part in an example's margin. The change is relative to that part, and leaves the effect of
  decay out. T is the median of this change over the examples outside the step's batch, averaged over a duel's steps.
  The definition left the average over examples open. It is the median, since the ratio has no bound where a part nears
  0.
- The estimate is T_G − T_M: T of the generaliser, minus T of the memoriser that knows the example. Supported where its
  interval is above 0 in each of three equivalent scalings, contradicted where it is below 0 in each. Otherwise
  undecided. p is the largest of the three. The estimate shown is that of the scaling with the largest p.
- Replicas in which a module does not know its examples are left out; the sentence counts them.
- Beside it: each side's T; the share of steps that increase the part; the same difference within the batch; with decay,
  whose effect is left out; with wrong labels; with other optimisers and numbers of parts; and in the null controls,
  where no difference is expected.
"""

from __future__ import annotations

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
    beside,
    counted,
    written,
)


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `planted` and `modules` tables."""
    planted = tables["planted"]
    fair = duel_outcomes.is_fair(tables["modules"])

    def difference(rows: pd.DataFrame, column: str = "transfer", scale: float = 1000.0) -> Estimate:
        values = duel_outcomes.by_side(rows, column).reindex(fair.index[fair])
        return estimate(scale * (values["general"] - values["shallow"]))

    def sides(rows: pd.DataFrame) -> list[Estimate]:
        values = duel_outcomes.transfers(rows).reindex(fair.index[fair])
        return [estimate(values[side]) for side in duel_outcomes.SIDES]

    scalings = {
        name: difference(rows)
        for name in duel_outcomes.SCALINGS
        if len(rows := duel_outcomes.duels(planted, "sgd", scaling=name))
    }
    findings = [_registered(scalings, len(fair))]
    differences: list[tuple[str, str, Estimate]] = [
        (f"scale put {name}", duel_outcomes.TRANSFER_UNIT, result) for name, result in scalings.items()
    ]
    for optimiser in duel_outcomes.optimisers(planted):
        rows = duel_outcomes.duels(planted, optimiser)
        if optimiser != "sgd":
            differences.append((f"with {optimiser}", duel_outcomes.TRANSFER_UNIT, difference(rows)))
        general, shallow = sides(rows)
        findings += [
            beside(f"change of the generaliser's part, {optimiser}", duel_outcomes.TRANSFER_UNIT, general),
            beside(f"change of the memorisers' part, {optimiser}", duel_outcomes.TRANSFER_UNIT, shallow),
        ]
        differences += [
            (f"within the batch, {optimiser}", duel_outcomes.TRANSFER_UNIT, difference(rows, "reinforcement")),
            (f"steps forward, {optimiser}", "share of steps", difference(rows, "frequency", 1.0)),
        ]
        for name, other in _others(planted, optimiser):
            result = difference(duel_outcomes.duels(planted, optimiser, **other))
            differences.append((f"{name}, {optimiser}", duel_outcomes.TRANSFER_UNIT, result))
    findings += [
        Finding(contrast, unit, result, f"General minus shallow, {contrast}: {written(result)}.")
        for contrast, unit, result in differences
    ]
    return findings


def _others(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each duel beside the registered one, and the settings in which it differs."""
    rows = planted[planted["optimiser"] == optimiser]
    # The strongest decay of both sides at once: the smaller of the two counts, so a decay of one side alone is 0.
    if most := float(rows[["general_decay", "shallow_decay"]].min(axis=1).max()):
        yield f"decay {most:g}", {"general_decay": most, "shallow_decay": most}
    yield from duel_outcomes.with_wrong_labels(planted, optimiser)
    yield from duel_outcomes.with_other_parts(planted, optimiser)
    yield from duel_outcomes.null_controls()


def _registered(scalings: Mapping[str, Estimate], replicas: int) -> Finding:
    if not scalings:
        sentence = "There are no duels with SGD."
        return Finding(REGISTERED, duel_outcomes.TRANSFER_UNIT, estimate([]), sentence, UNDECIDED)
    # A scaling without a p is the least sure of all, so NaN counts as more than any p.
    shown = max(scalings.values(), key=lambda result: np.nan_to_num(result.p_value, nan=2.0))
    has_all = set(scalings) == set(duel_outcomes.SCALINGS) and all(
        result.n >= ENOUGH_REPLICAS for result in scalings.values()
    )
    verdict, outcome = UNDECIDED, "no sign is shown in all three scalings"
    if not has_all:
        outcome = "too few replicas to say, or fewer than three scalings"
    elif all(result.low > 0 for result in scalings.values()):
        verdict, outcome = SUPPORTED, "the generaliser gains more in each scaling"
    elif all(result.high < 0 for result in scalings.values()):
        verdict, outcome = CONTRADICTED, "the generaliser gains less in each scaling"
    sentence = (
        "Steps on other examples change the generaliser's part in a margin, relative to itself and without decay, by"
        f" {written(shown)} per 1,000 steps more than a memoriser's part. Of three equivalent scalings, this is the one"
        f" with the least sure difference: {outcome}. Over {counted(shown.n, replicas)}."
    )
    return Finding(REGISTERED, duel_outcomes.TRANSFER_UNIT, shown, sentence, verdict)
