"""Loading of a config: a raw mapping becomes a checked study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from general_circuits.config.branch import branch_in, change_in, multiplied, unchangeable
from general_circuits.config.checks import contradictions
from general_circuits.config.condition import ConditionSettings
from general_circuits.config.errors import ConfigError, at, cut, dotted, explained, listed, mapping, place
from general_circuits.config.study import Study
from general_circuits.models.compatibility import lacking

ALTERNATIVES = (frozenset({"operation", "expression"}), frozenset({"train_fraction", "train_count"}))
"""Groups of keys that replace each other, so that only one of a group may be given."""


def load(raw: Mapping[str, Any]) -> Study:
    """Return the study that a parsed config describes. Every condition gets the `defaults` that it does not override.

    Raises:
        ConfigError: the study cannot run. The message lists every fault: the key, the value and what would be right.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"config: {cut(raw)}: should be a mapping of keys to values")
    merged = dict(raw)
    defaults = {} if raw.get("defaults") is None else raw["defaults"]
    written = raw.get("conditions")
    # A section that is no mapping stays as it is, so that the models refuse it.
    if isinstance(defaults, Mapping) and isinstance(written, Mapping):
        merged["defaults"] = dict(defaults)
        merged["conditions"] = {
            name: _inherited(defaults, settings) if isinstance(settings, Mapping) else settings
            for name, settings in ((name, {} if own is None else own) for name, own in written.items())
        }
        # Branches come second: they inherit from their parent, which has its defaults by now.
        for name, settings in written.items():
            branch = branch_in(settings)
            if branch is not None:
                parent = branch.get("from") if isinstance(branch.get("from"), str) else None
                inherited, own = merged["conditions"].get(parent), written.get(parent)
                merged["conditions"][name] = _branched(settings, inherited, own)
    if misplaced := [*_both_given(raw), *_misplaced(written)]:
        raise ConfigError(listed(misplaced))
    try:
        study = Study.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(listed(explained(error.errors(), raw, merged, Study))) from None
    faults = list(contradictions(study))
    if faults:
        raise ConfigError(listed(at(place(location, raw), value, right) for location, value, right in faults))
    return study


def _both_given(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield keys that replace each other and are both given in one mapping."""
    conditions = raw.get("conditions")
    mappings = {"defaults": raw.get("defaults")}
    if isinstance(conditions, Mapping):
        mappings |= {dotted("conditions", name): settings for name, settings in conditions.items()}
    for where, settings in mappings.items():
        for keys in ALTERNATIVES if isinstance(settings, Mapping) else ():
            assert isinstance(settings, Mapping)
            given = sorted(key for key in keys if settings.get(key) is not None)
            if len(given) > 1:
                yield f"{where}: {' and '.join(given)}: should be one of them"


def _inherited(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `defaults` into a condition's own settings.

    A condition that names its own preset ignores settings in `defaults` that this preset's network does not have.
    """
    merged = _merged(defaults, own)
    left_out = set(lacking(merged)) - own.keys() if "preset" in own else ()
    return {key: value for key, value in merged.items() if key not in left_out}


def _branched(own: Mapping[str, Any], parent: Any, written: Any) -> dict[str, Any]:
    """Merge a branch's changes into its parent's settings.

    Args:
        own: the branch as it is written.
        parent: its parent's settings, defaults included.
        written: its parent as it is written.
    """
    # A parent that is missing or a branch itself is refused later; until then the branch inherits nothing.
    if not isinstance(parent, Mapping) or branch_in(written) is not None:
        parent = {}
    kept = {key: value for key, value in parent.items() if key not in ("branch", "measurements", "until")}
    return {**_merged(kept, multiplied(change_in(own), kept)), **own}


def _misplaced(conditions: Any) -> Iterator[str]:
    """Yield settings that stand beside a `branch:` instead of in its `change:`, and keys that no change can have."""
    for name, settings in mapping(conditions).items():
        if branch_in(settings) is None:
            continue
        for key in settings:
            if key not in ("branch", "measurements"):
                right = "should be under branch: change, since a branch inherits its parent's settings"
                yield f"{dotted('conditions', name, key)}: {right}"
        for key in change_in(settings):
            if key not in ConditionSettings.model_fields:
                yield f"{dotted('conditions', name, 'branch', 'change', key)}: {unchangeable(key)}"


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `own` into `defaults`, key by key, also inside mappings. A key of `own` drops the keys that it replaces."""
    given = {key for key, value in own.items() if value is not None}
    dropped = {other for keys in ALTERNATIVES if keys & given for other in keys - given}
    merged = {**{key: value for key, value in defaults.items() if key not in dropped}, **own}
    for key in defaults.keys() & own.keys():
        if isinstance(defaults[key], Mapping) and isinstance(own[key], Mapping):
            merged[key] = _merged(defaults[key], own[key])
    return merged
