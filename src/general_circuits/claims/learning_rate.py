"""Does a larger learning rate, once grokking has started, speed it up as much? Or is that a shift of mode?

Registered before any result of a study was seen, of branches of grokking that change the learning rate alone:

- speed: each replica's slope of the log of the steps left to generalise on the log of the multiplier of the rate, over
  the branches at onset and grokking itself, by censored regression. The rival's account, as much faster as the rate is
  larger, holds where the interval is below −0.8; it is contradicted where the interval is above −0.2.
- mode shift, the author's account, of ten times the rate at t_m: training accuracy falls by 0.2 or more, and from its
  lowest until it is 0.99 again (or the end, if it has made up half of its fall by then; else there is no way back and
  nothing to see) it is less than 0.1 above validation accuracy in the mean. Supported where both intervals say so,
  contradicted where either says the opposite.
- Beside: branches from elsewhere, with rate × decay held, annealed, and the rate from the start on; those of other
  conditions; each multiplier by itself, and in how many replicas it diverges; how long accuracy takes to come back,
  against t_m; how training and validation losses go together before and after; and a kick of the weights by which
  training accuracy falls as low.
- A replica that does not generalise is censored at its end; one that never came to the place is left out, and counted.
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
    found = variant_outcomes.rates(conditions)
    replicas = events.loc[events["condition"] == BASE, "replica"].nunique()
    findings = [_speed(_slopes(events, found, "onset", "free"), replicas)]
    shifts = {variant: _shifts(events, metrics, variant) for variant in found if variant.at == "memorised"}
    findings.append(_mode_shift(shifts, replicas))
    for at, how in dict.fromkeys((variant.at, variant.how) for variant in found if variant.how != "kick"):
        if (at, how) != ("onset", "free"):
            slope = estimate(_slopes(events, found, at, how))
            findings.append(beside(f"slope from {at}, {how}", SLOPE_UNIT, slope))
    for variant in found:
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
    """Of each replica of an variant, 1 if a loss or the weights were not finite any more."""
    rows = metrics[metrics["condition"] == variant.condition]
    return rows.groupby("replica")["diverged"].any().astype(float).to_list()


def _of_others(events: pd.DataFrame, conditions: Conditions) -> Iterator[Finding]:
    """The slopes of branches of other conditions."""
    for base in dict.fromkeys(own.get(PARENT) for own in conditions.values()):
        if base in (None, BASE):
            continue
        found = variant_outcomes.rates(conditions, base)
        for at, how in dict.fromkeys((variant.at, variant.how) for variant in found):
            slope = estimate(_slopes(events, found, at, how, base))
            yield beside(f"slope from {at} of {base}, {how}", SLOPE_UNIT, slope)


def _slopes(events: pd.DataFrame, found: list[Rate], at: str, how: str, base: str = BASE) -> Array:
    """One pseudo-value per replica, of the variants of a kind and grokking from the same place on."""
    kind = [variant for variant in found if (variant.at, variant.how) == (at, how)]
    parts = [variant_outcomes.left(events, base, at, base).assign(multiplier=1.0)]
    parts += [
        variant_outcomes.left(events, variant.condition, at, base).assign(multiplier=variant.multiplier)
        for variant in kind
    ]
    rows = pd.concat(parts).reset_index()
    return slopes(np.log(rows["multiplier"]), rows["steps"], rows["censored"], rows["replica"])


def _speed(values: Array, replicas: int) -> Finding:
    found, verdict = decided(values, RIVAL, NO_EFFECT)
    words = {
        SUPPORTED: "as much as the rate",
        CONTRADICTED: "it speeds up hardly, or slows down",
        UNDECIDED: "not shown to be as much as the rate, nor without effect",
    }
    sentence = (
        f"From onset on, the steps left to generalise go as the multiplier of the rate to the power {written(found)}:"
        f" {outcome(found, verdict, words)}. Over {counted(found.n, replicas)}."
    )
    return Finding(f"{REGISTERED}, speed", SLOPE_UNIT, found, sentence, verdict)


UNITS = {
    "dip": "training accuracy lost",
    "gap": "training less validation accuracy",
    "recovery": "log10 of steps, over t_m",
    "coupling": "change of correlation",
}
"""Of what is found of a shift."""


@dataclass(frozen=True)
class _Shift:
    """What became of one replica's accuracies after it left grokking."""

    dip: float
    gap: float
    recovery: float
    coupling: float


def _shifts(events: pd.DataFrame, metrics: pd.DataFrame, variant: Rate) -> list[_Shift]:
    """One for each replica that has a branch."""
    memorised = steps_of_events(events, BASE)["memorised"]
    return list(
        _each(
            metrics, variant, variant_outcomes.left(events, variant.condition, variant.at)["start"].dropna(), memorised
        )
    )


def _each(metrics: pd.DataFrame, variant: Rate, starts: pd.Series, memorised: pd.Series) -> Iterator[_Shift]:
    for replica, start in starts.items():
        accuracy = variant_outcomes.curves(metrics, variant.condition, replica)
        # A kick has fallen at its start already: what it fell from is grokking's.
        before = variant_outcomes.curves(metrics, BASE, replica)
        train = accuracy["train"]
        from_where = float(before["train"].get(start, np.nan))
        lowest = train.idxmin()
        after = accuracy.loc[lowest:]
        back = after.index[after["train"] >= BACK]
        dip, end = from_where - float(train.min()), back[0] if len(back) else after.index[-1]
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
    """Correlation of the steps of log losses on both splits, after less before, over spans as long."""
    after = variant_outcomes.curves(metrics, variant.condition, replica, "loss")
    before = variant_outcomes.curves(metrics, BASE, replica, "loss")
    after, before = after.loc[start : 2 * start], before.loc[:start]
    both = []
    for losses in (before, after):
        steps = np.log(losses.where(losses > 0)).diff().dropna()
        is_enough = len(steps) > 2 and (steps.std() > 0).all()
        both.append(float(steps["train"].corr(steps["validation"])) if is_enough else np.nan)
    return both[1] - both[0]


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
    way = f"on its way back is {written(gaps)} above validation accuracy" if gaps.n else "does not come back"
    if dips.n < ENOUGH_REPLICAS:
        words = "too few replicas to say"
    elif dips.high < DIP:
        verdict, words, shown = CONTRADICTED, "there is no such dip", dips
    elif gaps.n >= ENOUGH_REPLICAS and gaps.low > GAP:
        verdict, words = CONTRADICTED, "training accuracy comes back by itself"
    elif gaps.n >= ENOUGH_REPLICAS and dips.low > DIP and gaps.high < GAP:
        verdict, words = SUPPORTED, "both fall and rise together"
        shown = dataclasses.replace(gaps, p_value=max(dips.p_value, gaps.p_value))
    sentence = (
        f"At ten times the rate from t_m on, training accuracy falls by {written(dips)}, and {way}: {words}. Over"
        f" {counted(gaps.n, replicas)}."
    )
    unit = UNITS["dip" if shown is dips else "gap"]
    return Finding(name, unit, shown, sentence, verdict)
