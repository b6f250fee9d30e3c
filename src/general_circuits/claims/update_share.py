"""Does a general circuit get more frequent and stronger updates than the shallow ones that make the same predictions?

Registered before any result was seen, of planted duels with SGD, without decay, of the most memorisers:

- What a step does to a module is the relative change of its part in an example's margin, without what decay does. T is
  that of examples outside the step's batch, the median over them, averaged over a duel's steps. (Median, which
  CLAIMS leaves open, since the ratio has no bound where a part nears 0.)
- T_G − T_M, of the generaliser and of the memoriser that knows the example. Supported where its interval is above 0 in
  each of the three equivalent scalings, contradicted where it is below 0 in each; else undecided. p is the largest of
  the three. The estimate shown is that of the scaling with the largest p.
- Replicas in which a module does not know what it should are left out, and counted.
- Beside it: each side's T; how often a step is one forward; the same within the batch; with decay, whose own effect is
  left out; with wrong labels; other optimisers and numbers of parts; and the null controls, where nothing should be.
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
    beside: list[tuple[str, str, Estimate]] = [
        (f"scale put {name}", duel_outcomes.TRANSFER_UNIT, found) for name, found in scalings.items()
    ]
    for optimiser in duel_outcomes.optimisers(planted):
        rows = duel_outcomes.duels(planted, optimiser)
        if optimiser != "sgd":
            beside.append((f"with {optimiser}", duel_outcomes.TRANSFER_UNIT, difference(rows)))
        general, shallow = sides(rows)
        beside += [
            (f"of the generaliser, {optimiser}", duel_outcomes.TRANSFER_UNIT, general),
            (f"of the memorisers, {optimiser}", duel_outcomes.TRANSFER_UNIT, shallow),
            (f"within the batch, {optimiser}", duel_outcomes.TRANSFER_UNIT, difference(rows, "reinforcement")),
            (f"steps forward, {optimiser}", "share of steps", difference(rows, "frequency", 1.0)),
        ]
        for name, other in _others(planted, optimiser):
            found = difference(duel_outcomes.duels(planted, optimiser, **other))
            beside.append((f"{name}, {optimiser}", duel_outcomes.TRANSFER_UNIT, found))
    findings += [
        Finding(contrast, unit, found, f"General minus shallow, {contrast}: {written(found)}.")
        for contrast, unit, found in beside
    ]
    return findings


def _others(planted: pd.DataFrame, optimiser: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Duels beside the registered one: what they are called, and what is different."""
    rows = planted[planted["optimiser"] == optimiser]
    if most := float(rows[["general_decay", "shallow_decay"]].min(axis=1).max()):
        yield f"decay {most:g}", {"general_decay": most, "shallow_decay": most}
    yield from duel_outcomes.with_wrong_labels(planted, optimiser)
    yield from duel_outcomes.with_other_parts(planted, optimiser)
    yield from duel_outcomes.null_controls()


def _registered(scalings: Mapping[str, Estimate], replicas: int) -> Finding:
    if not scalings:
        sentence = "There are no duels with SGD."
        return Finding(REGISTERED, duel_outcomes.TRANSFER_UNIT, estimate([]), sentence, UNDECIDED)
    shown = max(scalings.values(), key=lambda found: np.nan_to_num(found.p_value, nan=2.0))
    has_all = set(scalings) == set(duel_outcomes.SCALINGS) and all(
        found.n >= ENOUGH_REPLICAS for found in scalings.values()
    )
    verdict, outcome = UNDECIDED, "the sign is not the same beyond doubt in each"
    if not has_all:
        outcome = "too few replicas to say, or not all three scalings"
    elif all(found.low > 0 for found in scalings.values()):
        verdict, outcome = SUPPORTED, "more in each"
    elif all(found.high < 0 for found in scalings.values()):
        verdict, outcome = CONTRADICTED, "less in each"
    sentence = (
        "A step on other examples changes the generaliser's part in a margin, relative to that part and without decay,"
        f" by {written(shown)} per 1,000 steps more than it does a memoriser's, in that of three equivalent scalings"
        f" where the difference is least sure: {outcome}. Over {counted(shown.n, replicas)}."
    )
    return Finding(REGISTERED, duel_outcomes.TRANSFER_UNIT, shown, sentence, verdict)
