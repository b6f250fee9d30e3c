"""Which conditions of a study differ from another one, and in what: claims find theirs by this, whatever their names.

A condition is a flat mapping of its resolved settings, such as `optimiser.learning_rate`, and of a branch also of how
it leaves its parent, `branch.at`. Schedules, measurements and numbers of examples are no difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Conditions = Mapping[str, Mapping[str, Any]]
"""By name, flat settings."""

BASE = "grokking"
"""What variants are variants of."""
AT, PARENT = "branch.at", "branch.parent"
RATE, DECAY, BATCH = "optimiser.learning_rate", "optimiser.weight_decay", "optimiser.batch_size"
FRACTION = "split.train_size"
KICK, INSTEAD, NOISE = (f"branch.intervention.{name}" for name in ("kick", "noise_instead", "batch_noise"))
ASIDE = ("schedule.", "measurements", "examples.")
UNTOUCHED: Mapping[str, Any] = {
    "branch.lasts": None,
    "branch.then": "back",
    "branch.intervention.kick": 0.0,
    "branch.intervention.mask": 0.0,
    "branch.intervention.temperature": 1.0,
    "branch.intervention.ignore_above": None,
    "branch.intervention.noise_instead": None,
    "branch.intervention.batch_noise": None,
}
"""What a branch has that says nothing of this."""


@dataclass(frozen=True)
class Variants:
    """Conditions that differ from grokking in these keys alone; "model." are all that begin so.

    Attributes:
        words: what they are.
        varied: in at least one of these.
        also: and perhaps in these.
        fixed: and perhaps in these, which are just this.
        unlike: and not to these values.
        of_others: branches of other conditions, which differ so from them, and these conditions.
    """

    words: str
    varied: tuple[str, ...]
    also: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    unlike: Mapping[str, Any] = field(default_factory=dict)
    of_others: bool = False

    def of(self, conditions: Conditions) -> list[str]:
        """Their names, in order."""
        if BASE not in conditions:
            return []
        if self.of_others:
            return self._of_others(conditions)
        others = {name: differences(conditions, name) for name in conditions if name != BASE}
        return [name for name, changed in others.items() if self._has(conditions[name], changed)]

    def _of_others(self, conditions: Conditions) -> list[str]:
        parents = {name: own.get(PARENT) for name, own in conditions.items()}
        found = [
            name
            for name, parent in parents.items()
            if parent not in (None, BASE) and self._has(conditions[name], differences(conditions, name, parent))
        ]
        return [name for name in conditions if name in {*found, *(parents[branch] for branch in found)}]

    def _has(self, own: Mapping[str, Any], changed: Mapping[str, Any]) -> bool:
        is_fixed = all(key in own and own[key] == value for key, value in self.fixed.items())
        is_fixed &= all(own.get(key) != value for key, value in self.unlike.items())
        allowed = (*self.varied, *self.also, *self.fixed)
        is_varied = any(_is_one_of(key, self.varied) for key in changed)
        return is_fixed and is_varied and all(_is_one_of(key, allowed) for key in changed)


def _is_one_of(key: str, keys: Collection[str]) -> bool:
    return any(key.startswith(other) if other.endswith(".") else key == other for other in keys)


def differences(conditions: Conditions, name: str, base: str = BASE) -> dict[str, Any]:
    """What a condition has that the other one has not; of a branch of that one, where it leaves and what it changes.

    A branch of a third condition differs in `branch.parent`.
    """
    own, other = conditions[name], conditions[base]
    changed = {key: value for key, value in own.items() if key not in other or other[key] != value}
    changed = {key: value for key, value in changed.items() if not key.startswith(ASIDE)}
    if own.get(PARENT) == base:
        del changed[PARENT]
    return {key: value for key, value in changed.items() if key not in UNTOUCHED or UNTOUCHED[key] != value}


def of_any(kinds: Collection[Variants], conditions: Conditions) -> list[str]:
    """The conditions of any of these kinds, in order."""
    found = {name for kind in kinds for name in kind.of(conditions)}
    return [name for name in conditions if name in found]
