"""Claim: once grokking has started, a larger learning rate speeds it up as much; or does it shift the mode?

Registered before any result of a study was seen, for branches of grokking that change only the learning rate:

- speed, the rival's account: generalising is as much faster as the rate is larger. The estimate is a slope: of the log
  of the steps left to generalise, on the log of the rate's multiplier. It is one value per replica, by censored
  regression over grokking and the branches at onset. Supported where the interval is below −0.8, contradicted where it
  is above −0.2.
- mode shift, the author's account, for ten times the rate at t_m: training accuracy falls by 0.2 or more. On its way
  back, it is less than 0.1 above validation accuracy in the mean. Supported where both intervals say so, contradicted
  where either says the opposite.
- The way back goes from the lowest training accuracy until it is 0.99 again. Where it never is, the way goes to the
  end, if half of the fall is regained by then; else there is no way back, and no value.
- Beside it: branches from other places, with rate × decay held, or annealed; another rate from the start; and branches
  of other conditions. For each multiplier: the steps left, and the share of replicas that diverge. For each multiplier
  at t_m: the time until accuracy is back relative to t_m, and the correlation of both losses before and after. Also a
  kick of the weights that makes training accuracy fall as low.
- A replica that does not generalise is censored at its end. One that never gets to the place is left out; the sentence
  counts such replicas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.estimates import Array, estimate
from general_circuits.analysis.survival import slopes
from general_circuits.analysis.variant_outcomes import Rate
from general_circuits.analysis.variants import BASE, PARENT, Conditions
from general_circuits.analysis.windows import steps_of_events
from general_circuits.claims.findings import (
    CONTRADICTED,
    ENOUGH_REPLICAS,
    REGISTERED,
    SUPPORTED,
    UNDECIDED,
    Finding,
    beside,
    counted,
    decided,
    not_testable,
    outcome,
    written,
)

RIVAL, NO_EFFECT = -0.8, -0.2
DIP, GAP, BACK = 0.2, 0.1, 0.99
SLOPE_UNIT = "power of the multiplier"


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `metrics` tables of grokking and its variants."""
    events, metrics, conditions = tables["events"], tables["metrics"], variant_outcomes.settings(tables["conditions"])
    variants = variant_outcomes.rates(conditions)
    replicas = events.loc[events["condition"] == BASE, "replica"].nunique()
    findings = [_speed(_slopes(events, variants, "onset", "free"), replicas)]
    shifts = {variant: _shifts(events, metrics, variant) for variant in variants if variant.at == "memorised"}
    findings.append(_mode_shift(shifts, replicas))
    for at, how in dict.fromkeys((variant.at, variant.how) for variant in variants if variant.how != "kick"):
        if (at, how) != ("onset", "free"):
            slope = estimate(_slopes(events, variants, at, how))
            findings.append(beside(f"slope from {at}, {how}", SLOPE_UNIT, slope))
    for variant in variants:
        base = variant_outcomes.left(events, BASE, variant.at)
        ratio = estimate(variant_outcomes.log_ratio(variant_outcomes.left(events, variant.condition, variant.at), base))
        findings.append(beside(f"steps left, {_named(variant)}", "log10 of the ratio to no change", ratio))
        diverged = estimate(_diverged(metrics, variant))
        findings.append(beside(f"diverged, {_named(variant)}", "share of replicas", diverged, is_change=False))
    for variant, shift in shifts.items():
        for what, unit in UNITS.items():
            values = estimate([getattr(of_replica, what) for of_replica in shift])
            findings.append(beside(f"{what.replace('_', ' ')}, {_named(variant)}", unit, values))
    return [*findings, *_of_others(events, conditions)]


def _named(variant: Rate) -> str:
    return (
        f"kick at {variant.at}" if variant.how == "kick" else f"×{variant.multiplier:g} at {variant.at}, {variant.how}"
    )


def _diverged(metrics: pd.DataFrame, variant: Rate) -> list[float]:
    """Return 1 for each replica whose loss or weights became infinite or NaN, else 0."""
    rows = metrics[metrics["condition"] == variant.condition]
    return rows.groupby("replica")["diverged"].any().astype(float).to_list()


def _of_others(events: pd.DataFrame, conditions: Conditions) -> Iterator[Finding]:
    """Yield the slopes over the branches of other conditions than grokking."""
    for base in dict.fromkeys(flat.get(PARENT) for flat in conditions.values()):
        if base in (None, BASE):
            continue
        variants = variant_outcomes.rates(conditions, base)
        for at, how in dict.fromkeys((variant.at, variant.how) for variant in variants):
            slope = estimate(_slopes(events, variants, at, how, base))
            yield beside(f"slope from {at} of {base}, {how}", SLOPE_UNIT, slope)


def _slopes(events: pd.DataFrame, variants: list[Rate], at: str, how: str, base: str = BASE) -> Array:
    """Return the slope over variants of one kind and their base from the same place on, one value per replica."""
    kind = [variant for variant in variants if (variant.at, variant.how) == (at, how)]
    parts = [variant_outcomes.left(events, base, at, base).assign(multiplier=1.0)]
    parts += [
        variant_outcomes.left(events, variant.condition, at, base).assign(multiplier=variant.multiplier)
        for variant in kind
    ]
    rows = pd.concat(parts).reset_index()
    return slopes(np.log(rows["multiplier"]), rows["steps"], rows["censored"], rows["replica"])


def _speed(values: Array, replicas: int) -> Finding:
    result, verdict = decided(values, RIVAL, NO_EFFECT)
    words = {
        SUPPORTED: "as much faster as the rate is larger",
        CONTRADICTED: "hardly faster, or slower",
        UNDECIDED: "neither as much as the rate nor no effect is shown",
    }
    sentence = (
        "From onset on, the steps left to generalise change as the multiplier of the learning rate to the power"
        f" {written(result)}: {outcome(result, verdict, words)}. Over {counted(result.n, replicas)}."
    )
    return Finding(f"{REGISTERED}, speed", SLOPE_UNIT, result, sentence, verdict)


UNITS = {
    "dip": "training accuracy lost",
    "gap": "training less validation accuracy",
    "recovery": "log10 of steps, over t_m",
    "coupling": "change of correlation",
}
"""Units of what is measured of a mode shift, by the attribute of `_Shift`."""


@dataclass(frozen=True)
class _Shift:
    """Accuracies and losses of one replica after it left grokking.

    Attributes:
        dip: fall of training accuracy, from grokking's at the same step to its lowest.
        gap: mean of training minus validation accuracy on the way back; NaN where it does not come back.
        recovery: log10 of the steps until training accuracy is 0.99 again, over t_m; NaN where it never is.
        coupling: correlation of the changes of both log losses after the branch, minus that before it.
    """

    dip: float
    gap: float
    recovery: float
    coupling: float


def _shifts(events: pd.DataFrame, metrics: pd.DataFrame, variant: Rate) -> list[_Shift]:
    """Return one shift for each replica that has a branch."""
    memorised = steps_of_events(events, BASE)["memorised"]
    return list(
        _each(
            metrics, variant, variant_outcomes.left(events, variant.condition, variant.at)["start"].dropna(), memorised
        )
    )


def _each(metrics: pd.DataFrame, variant: Rate, starts: pd.Series, memorised: pd.Series) -> Iterator[_Shift]:
    for replica, start in starts.items():
        accuracy = variant_outcomes.curves(metrics, variant.condition, replica)
        # A kick has lowered accuracy already at the branch's first evaluation, so the fall is taken from grokking's.
        before = variant_outcomes.curves(metrics, BASE, replica)
        train = accuracy["train"]
        before_fall = float(before["train"].get(start, np.nan))
        lowest = train.idxmin()
        after = accuracy.loc[lowest:]
        back = after.index[after["train"] >= BACK]
        dip, end = before_fall - float(train.min()), back[0] if len(back) else after.index[-1]
        while_rising = after.loc[:end]
        is_back = dip >= DIP and float(train.loc[lowest:].max()) >= float(train.min()) + dip / 2
        gap = float((while_rising["train"] - while_rising["validation"]).mean())
        recovery = np.log10((end - start) / memorised[replica]) if len(back) and end > start else np.nan
        yield _Shift(
            dip,
            gap if is_back else np.nan,
            recovery if is_back else np.nan,
            _coupling(metrics, variant, replica, start),
        )


def _coupling(metrics: pd.DataFrame, variant: Rate, replica: int, start: float) -> float:
    """Return the correlation of the changes of both log losses after the branch, minus that before it.

    Both spans have the same length: from step 0 to the branch, and as many steps after it.
    """
    after = variant_outcomes.curves(metrics, variant.condition, replica, "loss")
    before = variant_outcomes.curves(metrics, BASE, replica, "loss")
    after, before = after.loc[start : 2 * start], before.loc[:start]
    correlations = []
    for losses in (before, after):
        changes = np.log(losses.where(losses > 0)).diff().dropna()
        is_enough = len(changes) > 2 and (changes.std() > 0).all()
        correlations.append(float(changes["train"].corr(changes["validation"])) if is_enough else np.nan)
    return correlations[1] - correlations[0]


def _mode_shift(shifts: Mapping[Rate, list[_Shift]], replicas: int) -> Finding:
    name = f"{REGISTERED}, mode shift"
    tenfold = [
        shift for variant, shift in shifts.items() if variant.how == "free" and np.isclose(variant.multiplier, 10)
    ]
    if not tenfold:
        return not_testable("no branch at t_m with ten times the rate", name)
    dips, gaps = (
        estimate([getattr(of, what) for of in tenfold[0]], null) for what, null in (("dip", DIP), ("gap", GAP))
    )
    verdict, words, shown = UNDECIDED, "not shown either way", gaps
    way = f"on its way back it is {written(gaps)} above validation accuracy" if gaps.n else "it does not come back"
    if dips.n < ENOUGH_REPLICAS:
        words = "too few replicas to say"
    elif dips.high < DIP:
        verdict, words, shown = CONTRADICTED, "there is no such dip", dips
    elif gaps.n >= ENOUGH_REPLICAS and gaps.low > GAP:
        verdict, words = CONTRADICTED, "training accuracy comes back without validation accuracy"
    elif gaps.n >= ENOUGH_REPLICAS and dips.low > DIP and gaps.high < GAP:
        verdict, words = SUPPORTED, "both fall and rise together"
        shown = dataclasses.replace(gaps, p_value=max(dips.p_value, gaps.p_value))
    sentence = (
        f"At ten times the learning rate from t_m on, training accuracy falls by {written(dips)}, and {way}: {words}."
        f" Over {counted(gaps.n, replicas)}."
    )
    unit = UNITS["dip" if shown is dips else "gap"]
    return Finding(name, unit, shown, sentence, verdict)
