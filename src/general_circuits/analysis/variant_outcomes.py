"""Variants of grokking as claims and figures read them: what they are, and when each generalised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis.estimates import Array
from general_circuits.analysis.survival import slopes
from general_circuits.analysis.variants import (
    AT,
    BASE,
    DECAY,
    FRACTION,
    INSTEAD,
    KICK,
    PARENT,
    RATE,
    Conditions,
    differences,
)

START = "step 0"
"""Where a condition that is no branch differs from."""


def settings(conditions: pd.DataFrame) -> Conditions:
    """The `conditions` table as flat settings by name."""
    found: dict[str, dict[str, Any]] = {}
    for row in conditions.itertuples():
        found.setdefault(str(row.condition), {})[str(row.setting)] = json.loads(row.value)
    return found


def place(changed: dict[str, Any]) -> str:
    """Where an variant leaves grokking: an event or a step."""
    return str(changed.get(AT, START))


def left(events: pd.DataFrame, condition: str, at: str, base: str = BASE) -> pd.DataFrame:
    """What was left to generalise, of each replica of an variant, or of grokking itself from the same place on.

    Args:
        events: the table.
        condition: an variant that leaves grokking there, or grokking.
        at: where.
        base: in place of grokking.

    Returns:
        by replica, `start` (the step, missing where the replica never came there), `steps` from there until it
        generalised, and whether that is `censored`.
    """
    rows = events[events["condition"] == condition]
    end = rows[rows["event"] == "generalised"].set_index("replica")
    started = pd.Series(0.0, index=end.index)
    event = at if condition == base else "branched"
    branched = rows[rows["event"] == event].set_index("replica")
    if at.startswith("step ") and condition == base:
        started += float(at.removeprefix("step "))
    elif len(branched):
        started = branched["step"].where(~branched["censored"]).astype(float)
    steps = end["step"] - started
    censored = end["censored"].astype(bool)
    # What had generalised before is no variant of something that has yet to.
    steps = steps.where((steps > 0) & started.notna())
    return pd.DataFrame({"start": started, "steps": steps, "censored": censored}).sort_index()


def levels(conditions: Conditions, key: str, also: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Grokking and the conditions that differ from it in this number alone, with the number, by it.

    With `also`, those that have these other settings too, and differ in nothing else.
    """
    fixed = dict(also or {})
    allowed = {key, *fixed}
    alone = [
        name
        for name, own in conditions.items()
        if differences(conditions, name).keys() <= allowed and all(own[key] == value for key, value in fixed.items())
    ]
    found = {name: _number(conditions[name], key) for name in alone}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def by_fraction(conditions: Conditions) -> dict[float, dict[float, str]]:
    """By decay and share that trains: grokking, and the conditions that differ from it in these alone."""
    changed = {name: differences(conditions, name).keys() for name in conditions}
    decays = {float(conditions[name][DECAY]) for name, keys in changed.items() if keys <= {DECAY, FRACTION}}
    return {
        decay: {share: name for name, share in levels(conditions, FRACTION, {DECAY: decay}).items()}
        for decay in sorted(decays, reverse=True)
    }


def _number(settings: Mapping[str, Any], key: str) -> float:
    """A setting as a number; a full batch is all training examples."""
    return float(settings["examples.training"] if settings[key] == "full" else settings[key])


def slope(events: pd.DataFrame, levels: Mapping[str, float]) -> Array:
    """How log t_g goes with the log of a level above 0: a value per replica, by censored regression."""
    parts = [left(events, name, START).assign(level=level) for name, level in levels.items() if level > 0]
    rows = pd.concat(parts).reset_index()
    return slopes(np.log(rows["level"]), rows["steps"], rows["censored"], rows["replica"])


def lost(progress: pd.DataFrame, conditions: Conditions, name: str) -> pd.DataFrame:
    """What became of both parts of the training margin in a branch, while it was changed.

    Args:
        progress: the table.
        conditions: flat settings by name.
        name: the branch.

    Returns:
        by replica, the share of `general`, what unseen examples show, and of `shallow`, the rest, that was lost from
        the branch's first checkpoint to the last one while it was changed; missing where a part was not above 0.
    """
    rows = progress[(progress["condition"] == name) & (progress["split"] == "train") & progress["is_scheduled"]]
    parts = rows.pivot_table(index=["replica", "step"], columns="component", values="part_of_margin", observed=True)
    parts = parts.reindex(columns=["all", "unseen"])
    both = pd.DataFrame({"general": parts["unseen"], "shallow": parts["all"] - parts["unseen"]})
    lasts = conditions[name].get("branch.lasts")
    found = {}
    for replica, of_replica in both.groupby("replica"):
        steps = of_replica.droplevel("replica")
        inside = steps if lasts is None else steps.loc[: steps.index[0] + lasts]
        first, last = inside.iloc[0], inside.iloc[-1]
        found[replica] = (1 - last / first).where((first > 0) & (len(inside) > 1))
    return pd.DataFrame.from_dict(found, orient="index", columns=["general", "shallow"])


def alone(progress: pd.DataFrame, conditions: Conditions) -> dict[str, pd.DataFrame]:
    """What decay alone, and noise alone, took in branches at onset that are measured, by which of the two."""
    measured = set(progress["condition"].astype(str))
    found = {"decay alone": moved_alone(conditions, noise=False), "noise alone": moved_alone(conditions, noise=True)}
    return {words: lost(progress, conditions, name) for words, name in found.items() if name and name in measured}


def moved_alone(conditions: Conditions, noise: bool) -> str | None:
    """The branch at onset in which nothing but decay, or but noise as large, moves the weights."""
    for name in conditions:
        changed = differences(conditions, name)
        moves = changed.get(INSTEAD, -1.0) > 0 if noise else changed.get(INSTEAD) == 0.0
        if place(changed) == "onset" and moves and (conditions[name][DECAY] > 0) != noise:
            return name
    return None


def curves(metrics: pd.DataFrame, condition: str, replica: int, column: str = "accuracy") -> pd.DataFrame:
    """One replica's column by step, `train` and `validation`; without rows where it has none."""
    rows = metrics[(metrics["condition"] == condition) & (metrics["replica"] == replica)]
    wide = rows.pivot_table(index="step", columns="split", values=column, observed=True)
    return wide.reindex(columns=["train", "validation"]).sort_index()


def log_ratio(of: pd.DataFrame, to: pd.DataFrame) -> np.ndarray:
    """log10 of what was left, over the other's, by replica; missing where either is censored."""
    ratio = of["steps"].where(~of["censored"]) / to["steps"].where(~to["censored"]).reindex(of.index)
    return np.log10(ratio.to_numpy(float))


@dataclass(frozen=True)
class Rate:
    """An variant with another learning rate, or a kick beside those.

    Attributes:
        condition: its name.
        at: where it leaves grokking.
        how: the rate alone (free), with rate × decay held, or annealed; or a kick and no other rate.
        multiplier: of the rate.
    """

    condition: str
    at: str
    how: str
    multiplier: float

    @property
    def is_branch(self) -> bool:
        return self.at != START


def rates(conditions: Conditions, of: str = BASE) -> list[Rate]:
    """Those among the conditions, by multiplier: variants of grokking, or of another condition the branches."""
    found = []
    base = conditions[of]
    for name, own in conditions.items():
        changed = differences(conditions, name, of)
        is_arm = own.get(PARENT, BASE) == of
        if name == of or not is_arm or not changed.keys() & {RATE, KICK}:
            continue
        rate, decay = (float(conditions[name][key]) for key in (RATE, DECAY))
        if KICK in changed:
            how = "kick"
        elif changed.get("branch.then") == "anneal":
            how = "annealed"
        elif "branch.lasts" in changed:
            how = "for a while"
        elif DECAY not in changed:
            how = "free"
        elif np.isclose(rate * decay, base[RATE] * base[DECAY]):
            how = "held"
        else:
            how = "with another decay"
        found.append(Rate(name, place(changed), how, rate / base[RATE]))
    return sorted(found, key=lambda variant: variant.multiplier)
