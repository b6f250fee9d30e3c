"""Changes of a run's learning rate: the run to start from, networks that survive, and shifts of the mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from general_circuits.analysis import variant_outcomes
from general_circuits.analysis.variants import BASE, PARENT, RATE, WARM_UP, Conditions, differences
from general_circuits.analysis.windows import steps_of_events, time_mean

DIP, BACK = 0.2, 0.99
"""Fall of training accuracy that counts as a dip, and the accuracy that ends it."""
SOON = 200
"""Number of steps after a change in which the dip is looked for."""
LATE = 0.2
"""Last share of a run in which a living network has training accuracy `BACK` at some evaluation."""


def slowest_base(conditions: Conditions) -> str:
    """Return the condition with the lowest learning rate among those that have branches with another rate.

    Only grokking and conditions that differ from it in rate and warm-up alone count. Without any such branch it is
    grokking.
    """
    parents = {
        flat[PARENT]
        for flat in conditions.values()
        if PARENT in flat and flat[PARENT] in conditions and flat[RATE] != conditions[flat[PARENT]][RATE]
    }
    bases = [name for name in conditions if name in parents and differences(conditions, name).keys() <= {RATE, WARM_UP}]
    return min(bases, key=lambda name: float(conditions[name][RATE]), default=BASE)


def alive(events: pd.DataFrame, metrics: pd.DataFrame, condition: str) -> pd.Series:
    """Return whether the network of each replica of a variant lives on after the change, by replica.

    It has not diverged. And its training accuracy is 0.99 or more at t_g, or at some evaluation in the last fifth of
    the run. A replica that never left its parent does not live.
    """
    lives, metrics = {}, metrics[metrics["condition"] == condition]
    for replica, generalised in steps_of_events(events, condition)["generalised"].items():
        train = variant_outcomes.curves(metrics, condition, replica)["train"].dropna()
        if not len(train) or metrics.loc[metrics["replica"] == replica, "diverged"].any():
            lives[replica] = False
            continue
        first, last = train.index[0], train.index[-1]
        late = train.loc[last - LATE * (last - first) :]
        lives[replica] = bool(late.max() >= BACK or train.get(generalised, 0.0) >= BACK)
    return pd.Series(lives, dtype=bool).sort_index()


def bounds(events: pd.DataFrame, multipliers: Mapping[str, float], at: str, base: str) -> dict[float, float]:
    """Return the least slope of log steps left that each multiplier allows at which no replica generalised.

    The slope is from the next lower multiplier at which some replica did, in the mean over the replicas that did there.
    A multiplier that has none below it allows every slope and is left out.

    Args:
        events: the table `events`.
        multipliers: multipliers of the base and of variants, by condition.
        at: the place from which steps count.
        base: the condition that the variants leave.
    """
    least: dict[float, float] = {}
    below: tuple[float, pd.Series] | None = None
    for name, multiplier in sorted(multipliers.items(), key=lambda item: item[1]):
        left = variant_outcomes.left(events, name, at, base)
        log_steps = np.log(left["steps"])
        ended = log_steps.where(~left["censored"])
        if ended.notna().any():
            below = multiplier, ended
        elif below and (rises := (log_steps - below[1]).dropna()).size:
            least[multiplier] = float(rises.mean() / np.log(multiplier / below[0]))
    return least


@dataclass(frozen=True)
class Shift:
    """Accuracies and losses of one replica right after a change. A value that does not exist is NaN.

    Attributes:
        dip: fall of training accuracy, from the parent's at the change to the lowest in the next 200 steps.
        gap: mean over time of training minus validation accuracy on the way back; NaN without a dip or a way back.
        gap_half_way: the same difference at the first evaluation at which half of the dip is made good.
        recovery: log10 of the steps of the way back, over t_m.
        coupling: correlation of the changes of both log losses after the change, minus that before it.
        evaluations: number of evaluations in the 200 steps after the change.
    """

    dip: float = np.nan
    gap: float = np.nan
    gap_half_way: float = np.nan
    recovery: float = np.nan
    coupling: float = np.nan
    evaluations: float = np.nan


def shifts(events: pd.DataFrame, metrics: pd.DataFrame, condition: str, base: str) -> list[Shift]:
    """Return one shift for each replica of a branch at t_m, by replica; without values where it never left.

    The way back goes from the lowest training accuracy until it is 0.99 again.

    Args:
        events, metrics: the tables of these names.
        condition: the branch.
        base: its parent.
    """
    metrics = metrics[metrics["condition"].isin([condition, base])]
    memorised = steps_of_events(events, base)["memorised"]
    starts = variant_outcomes.left(events, condition, "memorised", base)["start"].reindex(memorised.index)
    return [
        _shift(
            variant_outcomes.curves(metrics, base, replica),
            variant_outcomes.curves(metrics, condition, replica),
            start,
            memorised[replica],
            _coupling(metrics, condition, base, replica, start),
        )
        if np.isfinite(start)
        else Shift()
        for replica, start in starts.items()
    ]


def _shift(before: pd.DataFrame, after: pd.DataFrame, start: float, memorised: float, coupling: float) -> Shift:
    soon = after["train"].loc[start : start + SOON].dropna()
    if not len(soon) or start not in before.index:
        return Shift(coupling=coupling)
    # A kick has lowered accuracy already at the branch's first evaluation, so the dip is taken from the parent's.
    lowest, dip = soon.idxmin(), float(before.loc[start, "train"] - soon.min())
    way = after.loc[lowest:]
    back = way.index[way["train"] >= BACK]
    evaluations = float((soon.index > start).sum())
    if dip < DIP or not len(back):
        return Shift(dip, coupling=coupling, evaluations=evaluations)
    difference = way["train"] - way["validation"]
    half_way = way.index[way["train"] >= soon.min() + dip / 2][0]
    return Shift(
        dip,
        time_mean(difference, lowest, back[0]),
        float(difference.loc[half_way]),
        float(np.log10((back[0] - lowest) / memorised)) if memorised > 0 else np.nan,
        coupling,
        evaluations,
    )


def _coupling(metrics: pd.DataFrame, condition: str, base: str, replica: int, start: float) -> float:
    """Return the correlation of the changes of both log losses after the branch, minus that before it.

    Both spans have the same length: from step 0 to the branch, and as many steps after it.
    """
    after = variant_outcomes.curves(metrics, condition, replica, "loss").loc[start : 2 * start]
    before = variant_outcomes.curves(metrics, base, replica, "loss").loc[:start]
    correlations = []
    for losses in (before, after):
        changes = np.log(losses.where(losses > 0)).diff().dropna()
        is_enough = len(changes) > 2 and (changes.std() > 0).all()
        correlations.append(float(changes["train"].corr(changes["validation"])) if is_enough else np.nan)
    return correlations[1] - correlations[0]
