"""Differences between the conditions of a study; claims find their conditions by these, not by names.

A condition is a flat mapping of its resolved settings, such as `optimiser.learning_rate`. A branch also has settings
of how it leaves its parent, such as `branch.at`. Schedules, measurements and numbers of examples count as no
difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from general_circuits.registered import BASE as BASE

Conditions = Mapping[str, Mapping[str, Any]]
"""Flat settings of each condition, by its name."""

AT, PARENT = "branch.at", "branch.parent"
RATE, DECAY, BATCH = "optimiser.learning_rate", "optimiser.weight_decay", "optimiser.batch_size"
WARM_UP = "optimiser.warm_up"
FRACTION = "split.train_size"
PERTURBATION = "perturbation"
NOISY_LABELS, LABELS_BY = "split.label_noise", "split.label_noise_by"
KICK, INSTEAD, NOISE_EXAMPLES, NOISE = (
    f"branch.intervention.{name}" for name in ("kick", "noise_instead", "noise_examples", "batch_noise")
)
HOW_LONG = (LASTS, THEN) = ("branch.lasts", "branch.then")
ASIDE = ("schedule.", "measurements", "examples.")
"""Prefixes of settings that count as no difference."""
UNTOUCHED: Mapping[str, Any] = {
    LASTS: None,
    THEN: "back",
    "branch.intervention.kick": 0.0,
    "branch.intervention.mask": 0.0,
    "branch.intervention.temperature": 1.0,
    "branch.intervention.ignore_above": None,
    "branch.intervention.noise_instead": None,
    "branch.intervention.noise_examples": None,
    "branch.intervention.batch_noise": None,
}
"""Settings of a branch that changes nothing; a branch differs from its parent where it has another value."""


@dataclass(frozen=True)
class Variants:
    """Kind of conditions: those that differ from grokking in some given settings and in no others.

    A setting that ends in a dot, such as "model.", means all settings that begin with it.

    Attributes:
        words: name of the kind, for a reader.
        varied: settings, at least one of which differs.
        also: settings that may differ, too.
        fixed: settings that must have these values, whether they differ or not.
        unlike: settings that must not have these values.
        parents: "grokking" compares conditions with grokking. "others" and "all" compare branches with their own
            parents instead, either those of other conditions than grokking or those of all. The kind then has these
            branches and their parents.
    """

    words: str
    varied: tuple[str, ...]
    also: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unlike: Mapping[str, Any] = field(default_factory=dict)
    parents: Literal["grokking", "others", "all"] = "grokking"

    def of(self, conditions: Conditions) -> list[str]:
        """Return the names of the conditions of this kind, in the study's order."""
        if BASE not in conditions:
            return []
        if self.parents != "grokking":
            return self._of_parents(conditions, () if self.parents == "all" else (BASE,))
        others = {name: differences(conditions, name) for name in conditions if name != BASE}
        return [name for name, changed in others.items() if self._has(conditions[name], changed)]

    def _of_parents(self, conditions: Conditions, without: Collection[str]) -> list[str]:
        parents = {name: str(flat[PARENT]) for name, flat in conditions.items() if PARENT in flat}
        branches = [
            name
            for name, parent in parents.items()
            if parent not in without and self._has(conditions[name], differences(conditions, name, parent))
        ]
        return [name for name in conditions if name in {*branches, *(parents[branch] for branch in branches)}]

    def _has(self, flat: Mapping[str, Any], changed: Mapping[str, Any]) -> bool:
        is_fixed = all(key in flat and flat[key] == value for key, value in self.fixed.items())
        is_fixed &= all(flat.get(key) != value for key, value in self.unlike.items())
        allowed = (*self.varied, *self.also, *self.fixed)
        is_varied = any(_is_one_of(key, self.varied) for key in changed)
        return is_fixed and is_varied and all(_is_one_of(key, allowed) for key in changed)


def _is_one_of(key: str, keys: Collection[str]) -> bool:
    return any(key.startswith(other) if other.endswith(".") else key == other for other in keys)


def differences(conditions: Conditions, name: str, base: str = BASE) -> dict[str, Any]:
    """Return the settings of a condition that `base` lacks or has with another value.

    A branch of `base` differs in the place at which it leaves it, and in its changes. A branch of a third condition
    also differs in `branch.parent`. Where a branch stops with its change, the length of the change is a schedule.
    """
    flat, other = conditions[name], conditions[base]
    changed = {key: value for key, value in flat.items() if key not in other or other[key] != value}
    changed = {key: value for key, value in changed.items() if not key.startswith(ASIDE)}
    if flat.get(PARENT) == base:
        del changed[PARENT]
    if stops_with_change(flat):
        changed = {key: value for key, value in changed.items() if key not in HOW_LONG}
    return {key: value for key, value in changed.items() if key not in UNTOUCHED or UNTOUCHED[key] != value}


def stops_with_change(flat: Mapping[str, Any]) -> bool:
    """Tell whether a condition is a branch that trains only as long as its change lasts."""
    return flat.get(THEN) == "stop"


def of_any(kinds: Collection[Variants], conditions: Conditions) -> list[str]:
    """Return the names of the conditions of any of these kinds, in the study's order."""
    names = {name for kind in kinds for name in kind.of(conditions)}
    return [name for name in conditions if name in names]


RANDOM_LABELS = Variants("random labels", (NOISY_LABELS,), (LABELS_BY, FRACTION), {NOISY_LABELS: 1.0})
"""Family of controls without anything to generalise to."""
