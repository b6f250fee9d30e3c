"""Variants of grokking and the steps that each takes to generalise, for claims and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from general_circuits.analysis.survival import Slopes, slopes
from general_circuits.analysis.variants import (
    AT,
    BASE,
    DECAY,
    FRACTION,
    KICK,
    LASTS,
    PARENT,
    RATE,
    THEN,
    WARM_UP,
    Conditions,
    differences,
)

START = "step 0"
"""Place at which a condition that is no branch leaves grokking."""


def settings(conditions: pd.DataFrame) -> Conditions:
    """Return flat settings by condition, from the table `conditions`."""
    by_name: dict[str, dict[str, Any]] = {}
    for row in conditions.itertuples():
        by_name.setdefault(str(row.condition), {})[str(row.setting)] = json.loads(row.value)
    return by_name


def place(changed: dict[str, Any]) -> str:
    """Return the place at which a variant leaves grokking: an event, or `step N`."""
    return str(changed.get(AT, START))


def left(events: pd.DataFrame, condition: str, at: str, base: str = BASE) -> pd.DataFrame:
    """Return the steps left to generalise, for each replica of a variant or of grokking itself.

    Args:
        events: the table `events`.
        condition: a variant that leaves grokking at `at`, or grokking.
        at: the place from which steps count: an event, or `step N`.
        base: the condition that takes the part of grokking.

    Returns:
        By replica: `start`, the step of the place, NaN where the replica never got there; `steps` from there until it
        was found to generalise, NaN where it had generalised before; `after`, the same until the evaluation before
        that; `censored`, whether it had not generalised when it ended.
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
    steps, after = end["step"] - started, end["after"] - started
    censored = end["censored"].astype(bool)
    # A replica that had generalised before the place tells nothing about what speeds generalisation.
    is_left = (steps > 0) & started.notna()
    frame = {"start": started, "after": after.where(is_left), "steps": steps.where(is_left), "censored": censored}
    return pd.DataFrame(frame).sort_index()


def levels(conditions: Conditions, key: str, also: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Return the value of one numeric setting in grokking and in conditions that differ in nothing else.

    Args:
        conditions: flat settings by name.
        key: the setting.
        also: other settings that the conditions must have, too; they may differ from grokking in these.

    Returns:
        By condition, in ascending order of the value.
    """
    fixed = dict(also or {})
    allowed = {key, *fixed}
    names = [
        name
        for name, flat in conditions.items()
        if differences(conditions, name).keys() <= allowed and all(flat[key] == value for key, value in fixed.items())
    ]
    values = {name: _number(conditions[name], key) for name in names}
    return dict(sorted(values.items(), key=lambda item: item[1]))


def by_fraction(conditions: Conditions) -> dict[float, dict[float, str]]:
    """Map weight decay, then training share, to a condition: grokking, or one that differs in these two alone."""
    changed = {name: differences(conditions, name).keys() for name in conditions}
    decays = {float(conditions[name][DECAY]) for name, keys in changed.items() if keys <= {DECAY, FRACTION}}
    return {
        decay: {share: name for name, share in levels(conditions, FRACTION, {DECAY: decay}).items()}
        for decay in sorted(decays, reverse=True)
    }


def _number(settings: Mapping[str, Any], key: str) -> float:
    """Return a setting as a number; a full batch counts all training examples."""
    return float(settings["examples.training"] if settings[key] == "full" else settings[key])


def slope(events: pd.DataFrame, levels: Mapping[str, float], at: str = START, base: str = BASE) -> Slopes:
    """Return the slope of the log of steps left on the log of a level, by interval-censored regression.

    Levels that are not above 0 have no logarithm and are left out.

    Args:
        events: the table `events`.
        levels: level by condition.
        at: the place from which steps count, as in `left`.
        base: the condition that takes the part of grokking.
    """
    parts = [left(events, name, at, base).assign(level=level) for name, level in levels.items() if level > 0]
    rows = pd.concat(parts).reset_index()
    return slopes(np.log(rows["level"]), rows["after"], rows["steps"], rows["censored"], rows["replica"])


def curves(metrics: pd.DataFrame, condition: str, replica: int, column: str = "accuracy") -> pd.DataFrame:
    """Return a metric of one replica by step, columns `train` and `validation`; empty where there is none."""
    rows = metrics[(metrics["condition"] == condition) & (metrics["replica"] == replica)]
    by_split = {name: rows[rows["split"] == name].set_index("step")[column] for name in ("train", "validation")}
    return pd.DataFrame(by_split).sort_index()


def log_ratio(of: pd.DataFrame, to: pd.DataFrame) -> np.ndarray:
    """Return log10 of the ratio of two conditions' steps left, by replica; NaN where either is censored."""
    ratio = of["steps"].where(~of["censored"]) / to["steps"].where(~to["censored"]).reindex(of.index)
    return np.log10(ratio.to_numpy(float))


@dataclass(frozen=True)
class Rate:
    """Variant with another learning rate, or with a kick, which is compared with such variants.

    Attributes:
        condition: the variant's name.
        at: the place at which it leaves the condition that it is a variant of.
        how: "free" (the rate alone), "held" (rate × decay is kept), "with another decay", "annealed", "for a while",
            or "kick".
        multiplier: its learning rate over that condition's.
    """

    condition: str
    at: str
    how: str
    multiplier: float

    @property
    def is_branch(self) -> bool:
        """True where the variant continues its parent from a later place than the start."""
        return self.at != START


def rates(conditions: Conditions, of: str = BASE) -> list[Rate]:
    """Return the variants of one condition with another learning rate or a kick, in ascending order of the multiplier.

    These are its branches, and conditions that differ from it in rate, decay and warm-up alone from the start on.
    """
    variants = []
    base = conditions[of]
    for name, flat in conditions.items():
        changed = differences(conditions, name, of)
        is_variant = flat[PARENT] == of if PARENT in flat else changed.keys() <= {RATE, DECAY, WARM_UP}
        if name == of or not is_variant or not changed.keys() & {RATE, KICK}:
            continue
        rate, decay = (float(conditions[name][key]) for key in (RATE, DECAY))
        if KICK in changed:
            how = "kick"
        elif changed.get(THEN) == "anneal":
            how = "annealed"
        elif LASTS in changed:
            how = "for a while"
        elif DECAY not in changed:
            how = "free"
        elif np.isclose(rate * decay, base[RATE] * base[DECAY]):
            how = "held"
        else:
            how = "with another decay"
        variants.append(Rate(name, place(changed), how, rate / base[RATE]))
    return sorted(variants, key=lambda variant: variant.multiplier)
