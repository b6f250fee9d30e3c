"""Claim: once grokking has started, a larger learning rate speeds it up as much; or does it shift the mode?

Registered before this rule was applied to any result:

- The base is grokking, or a condition that differs from it in the rate (and warm-up) alone. Of all that have branches
  with another rate, it is the one with the lowest rate. The first version took grokking itself, at a rate of which ten
  times as much destroyed every network. Then no account can be judged.
- Precondition of each part: with ten times the rate, the network lives on in at least four fifths of the replicas. It
  lives if it has not diverged, and has a training accuracy of 0.99 or more. It has that at t_g, or at an evaluation in
  the last fifth of the branch. And at least four fifths of the base's replicas come to the place of the branches.
- speed, the rival's account: generalising is as much faster as the rate is larger. The estimate is a slope: of the log
  of the steps left to generalise, on the log of the rate's multiplier. It is one value per replica, from the base and
  its branches at onset that change the rate alone, by interval-censored regression. Supported below −0.8, contradicted
  above −0.2.
- Rates at which the network does not live are left out, since a destroyed network is not a slow one. A rate gives a
  bound alone if no replica generalises, or if all have by the first evaluation. In the first version such a rate was
  part of the slope, which moved slopes towards 0. At least three rates must have times, and at most a fifth of these
  times may be censored. Where a bound excludes the slopes of the verdict, the claim is not testable: no single power
  describes the rates.
- dip, the author's account, for ten times the rate at t_m: training accuracy falls. The dip is from the base's accuracy
  at t_m to the lowest one in the next 200 steps; over the whole branch, other events would count as dips. Supported
  above 0.2, contradicted below 0.1. The first 200 steps need ten evaluations, or the lowest point is missed.
- joint rise, the author's account, for the same branch: on the way back, training accuracy is hardly above validation
  accuracy. The way goes from the lowest point until training accuracy is 0.99 again. The estimate is the mean of the
  difference over the time of the way. Supported below 0.1, contradicted above 0.2. Precondition: in at least four
  fifths of the replicas there is a dip of 0.2 and a way back.
- Beside it: branches from other places, with rate × decay held, or annealed; another rate from the start; and branches
  of other conditions. For each multiplier: the steps left, and the share of replicas that live on.
- Beside it for each multiplier at t_m: the dip, the difference on the way back and half-way, and the length of the way.
  Also the correlation of both losses before and after, and a kick of the weights that makes training accuracy fall as
  low.
- A replica that does not generalise is censored at its end; a branch may stop earlier than its base. A replica that
  never gets to the place is left out; the sentence counts such replicas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from general_circuits.analysis import rate_change, variant_outcomes
from general_circuits.analysis.decisions import decide
from general_circuits.analysis.estimates import Array
from general_circuits.analysis.preconditions import ENOUGH, MOST_CENSORED, unmet
from general_circuits.analysis.rate_change import Shift
from general_circuits.analysis.survival import Slopes
from general_circuits.analysis.variant_outcomes import Rate
from general_circuits.analysis.variants import PARENT, RATE, Conditions
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

SPEED, DIP, GAP = Rule(-0.8, -0.2, is_below=True), Rule(0.2, 0.1), Rule(0.1, 0.2, is_below=True)
LEAST_RATES, LEAST_EVALUATIONS = 3, 10
"""Least number of rates of a slope, and of evaluations around a dip."""
SLOPE_UNIT = "power of the multiplier"
UNITS = {
    "dip": "training accuracy lost",
    "gap": "training less validation accuracy",
    "gap_half_way": "training less validation accuracy",
    "recovery": "log10 of steps, over t_m",
    "coupling": "change of correlation",
}
"""Units of what is measured of a mode shift, by the attribute of `Shift`."""


def judge(tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """Findings from the `conditions`, `events` and `metrics` tables of grokking and its variants."""
    conditions = variant_outcomes.settings(tables["conditions"])
    base = _Base.of(tables, conditions, rate_change.slowest_base(conditions))
    others = dict.fromkeys(flat[PARENT] for flat in conditions.values() if PARENT in flat and flat[PARENT] != base.name)
    findings = [_speed(base), *_mode_shift(base), *_beside(base)]
    for name in others:
        other = _Base.of(tables, conditions, name)
        findings += _beside(other.with_branches_alone(), f" of {name}")
    return findings


@dataclass(frozen=True)
class _Base:
    """A condition, and the variants of it that have another rate or a kick."""

    name: str
    rate: float
    events: pd.DataFrame
    metrics: pd.DataFrame
    variants: tuple[Rate, ...]

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], conditions: Conditions, name: str) -> _Base:
        rate, variants = float(conditions[name][RATE]), variant_outcomes.rates(conditions, name)
        return cls(name, rate, tables["events"], tables["metrics"], tuple(variants))

    def with_branches_alone(self) -> _Base:
        """Return the same without other rates from the start, which stand beside the slowest base already."""
        return replace(self, variants=tuple(variant for variant in self.variants if variant.is_branch))

    @cached_property
    def alive(self) -> Mapping[str, pd.Series]:
        """Replicas that live on, by variant."""
        names = [variant.condition for variant in self.variants]
        return {name: rate_change.alive(self.events, self.metrics, name) for name in names}

    @cached_property
    def shifts(self) -> Mapping[Rate, list[Shift]]:
        """Shifts of the replicas, by variant at t_m."""
        at_memorised = [variant for variant in self.variants if variant.at == "memorised"]
        return {
            variant: rate_change.shifts(self.events, self.metrics, variant.condition, self.name)
            for variant in at_memorised
        }

    def kinds(self) -> list[tuple[str, str]]:
        """Return places and ways in which rates differ, each once."""
        kinds = ((variant.at, variant.how) for variant in self.variants if variant.how != "kick")
        return list(dict.fromkeys(kinds))

    def destroying(self, at: str, how: str) -> list[Rate]:
        """Return the variants of one kind in which too few replicas live on."""
        kind = [variant for variant in self.variants if (variant.at, variant.how) == (at, how)]
        return [variant for variant in kind if self.alive[variant.condition].mean() < ENOUGH]

    def levels(self, at: str, how: str) -> dict[str, float]:
        """Return the multipliers of the base and of living variants of one kind."""
        dead = self.destroying(at, how)
        kind = [variant for variant in self.variants if (variant.at, variant.how) == (at, how) and variant not in dead]
        return {self.name: 1.0, **{variant.condition: variant.multiplier for variant in kind}}

    def slope(self, at: str, how: str) -> Slopes:
        """Return the slope of log steps left on the log of the multiplier, from one place on."""
        return variant_outcomes.slope(self.events, self.levels(at, how), at, self.name)

    def tenfold(self, at: str) -> Rate | None:
        """Return the branch from a place that has ten times the rate and no other change; None if there is none."""
        kind = (variant for variant in self.variants if (variant.at, variant.how) == (at, "free"))
        return next((variant for variant in kind if np.isclose(variant.multiplier, 10)), None)

    def unfit(self, at: str) -> str:
        """Return in words why ten times the rate from a place cannot be judged; empty if it can."""
        tenfold = self.tenfold(at)
        if tenfold is None:
            return f"no branch of {self.name} at {at} with ten times the learning rate"
        came = variant_outcomes.left(self.events, self.name, at, self.name)["start"].notna()
        if reason := unmet({f"{self.name} came to {at}": came}):
            return reason
        lives = self.alive[tenfold.condition]
        if lives.mean() < ENOUGH:
            dead = int((came & ~lives).sum())
            return f"ten times the rate of {self.rate:g} destroys the network in {dead} of {came.sum()} replicas"
        return ""


def _speed(base: _Base) -> Finding:
    contrast = part("speed")
    if reason := base.unfit("onset"):
        return not_testable(reason, contrast)
    slope = base.slope("onset", "free")
    if len(slope.fitted) < LEAST_RATES:
        fitted = _listed(np.exp(slope.fitted))
        return not_testable(f"replicas generalise at fewer than {LEAST_RATES} rates: {fitted}", contrast)
    if slope.censored > MOST_CENSORED:
        return not_testable(f"{slope.censored:.0%} of the steps left are censored", contrast)
    decision = decide(slope.values, SPEED)
    most = {SUPPORTED: SPEED.supported, BETWEEN: SPEED.contradicted}.get(decision.verdict, np.inf)
    for bound, least in rate_change.bounds(base.events, base.levels("onset", "free"), "onset", base.name).items():
        if least > most:
            other = f"the power is {decision.estimate.mean:.2f} between {_listed(np.exp(slope.fitted))}"
            return not_testable(
                f"{other}, but above {least:.2f} up to ×{bound:g}, where no replica generalises", contrast
            )
    words = {
        SUPPORTED: "as much faster as the rate is larger",
        CONTRADICTED: "hardly faster, or slower",
        BETWEEN: "faster, but not as much as the rate is larger",
        UNDECIDED: "neither as much as the rate nor no effect is shown",
    }
    sentence = (
        f"From onset on, at a base rate of {base.rate:g}, the steps left to generalise change as the multiplier of the"
        f" learning rate to the power {written(decision.estimate)}: {outcome(decision, words)}."
        f" The rates are {_listed(np.exp(slope.fitted))}."
    )
    if slope.bounds:
        without = "no replica generalises, or all have by the first evaluation"
        sentence += f" A bound alone comes from {_listed(np.exp(slope.bounds))}, where {without}."
    if destroying := base.destroying("onset", "free"):
        sentence += f" These destroy the network: {_listed([variant.multiplier for variant in destroying])}."
    return primary(contrast, SLOPE_UNIT, decision, sentence)


def _listed(multipliers: Array | list[float]) -> str:
    return ", ".join(f"×{multiplier:g}" for multiplier in multipliers) or "none"


def _mode_shift(base: _Base) -> Iterator[Finding]:
    """Yield the findings on the dip and on the joint rise at ten times the rate from t_m on."""
    dip, rise = part("dip"), part("joint rise")
    reason, tenfold = base.unfit("memorised"), base.tenfold("memorised")
    shifts = base.shifts[tenfold] if tenfold and not reason else []
    evaluations = min((shift.evaluations for shift in shifts if np.isfinite(shift.dip)), default=np.inf)
    if evaluations < LEAST_EVALUATIONS:
        reason = f"the branch has {evaluations:g} evaluations in its first {rate_change.SOON} steps"
    if reason:
        yield not_testable(reason, dip)
        yield not_testable(reason, rise)
        return
    assert tenfold is not None
    lives = base.alive[tenfold.condition].to_numpy()
    # A network that dies has no dip: it does not come back.
    dips = np.where(lives, [shift.dip for shift in shifts], np.nan)
    gaps = np.where(lives, [shift.gap for shift in shifts], np.nan)
    when = f"At ten times the learning rate of {base.rate:g} from t_m on"
    decision = decide(dips, DIP)
    words = {
        SUPPORTED: "there is a dip",
        CONTRADICTED: "there is no dip",
        BETWEEN: "the dip is small",
        UNDECIDED: "a dip is neither shown nor excluded",
    }
    sentence = (
        f"{when}, training accuracy falls by {written(decision.estimate, is_change=False)} within"
        f" {rate_change.SOON} steps: {outcome(decision, words)}."
    )
    yield primary(dip, UNITS["dip"], decision, sentence)
    checks = {
        f"training accuracy falls by {rate_change.DIP:g}": dips >= rate_change.DIP,
        "training accuracy falls and comes back": np.isfinite(gaps),
    }
    if reason := unmet(checks):
        yield not_testable(reason, rise)
        return
    decision = decide(gaps, GAP)
    words = {
        SUPPORTED: "both rise together",
        CONTRADICTED: "training accuracy comes back without validation accuracy",
        BETWEEN: "training accuracy comes back somewhat before validation accuracy",
        UNDECIDED: "a joint rise is neither shown nor excluded",
    }
    sentence = (
        f"{when}, training accuracy is {written(decision.estimate)} above validation accuracy on its way back:"
        f" {outcome(decision, words)}."
    )
    yield primary(rise, UNITS["gap"], decision, sentence)


def _beside(base: _Base, suffix: str = "") -> Iterator[Finding]:
    """Yield slopes, steps left, living replicas and shifts of a condition's variants; `suffix` names the condition."""
    for at, how in base.kinds():
        if (at, how) != ("onset", "free") or suffix:
            yield beside(f"slope from {at}{suffix}, {how}", SLOPE_UNIT, base.slope(at, how).values)
    for variant in base.variants:
        named = f"×{variant.multiplier:g} at {variant.at}{suffix}, {variant.how}"
        if variant.how == "kick":
            named = f"kick at {variant.at}{suffix}"
        of_base = variant_outcomes.left(base.events, base.name, variant.at, base.name)
        of_variant = variant_outcomes.left(base.events, variant.condition, variant.at, base.name)
        ratio = variant_outcomes.log_ratio(of_variant, of_base)
        yield beside(f"steps left, {named}", "log10 of the ratio to no change", ratio)
        yield beside(f"alive, {named}", "share of replicas", base.alive[variant.condition].astype(float), False)
        for what, unit in UNITS.items() if variant in base.shifts else ():
            values = np.array([getattr(shift, what) for shift in base.shifts[variant]])
            yield beside(f"{what.replace('_', ' ')}, {named}", unit, values)
