"""What is wrong with a config, in words: every key at fault, the value found, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel


class ConfigError(ValueError):
    """A config that cannot run; the message lists every fault."""


def explained(fault: Any, raw: Mapping[str, Any], root: type[BaseModel]) -> str:
    """One of pydantic's errors on a config of this kind, in our words."""
    location = tuple(str(part) for part in fault["loc"] if not str(part).startswith(("function-", "literal[")))
    while location and re.fullmatch(r"int|float|str|\[key\]|list\[.*|constrained-.*", location[-1]):
        location = location[:-1]
    value, context = fault["input"], fault.get("ctx", {})
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"{place(location, raw)}: unknown key{_nearest(location[-1], list(_fields(location, root)))}"
    if kind == "missing":
        return f"{'.'.join(location)}: missing; {_fields(location, root)[location[-1]].description or 'needed'}"
    reason = {
        "too_short": "should not be empty",
        "literal_error": f"should be {context.get('expected')}",
        "string_pattern_mismatch": "should be lower-case letters, digits and underscores, a letter first",
        "model_type": "should be a mapping of keys to values",
        "dict_type": "should be a mapping of keys to values",
    }.get(kind, fault["msg"].replace("Input should be", "should be"))
    return at(place(location, raw), value, reason)


def place(location: tuple[str, ...], raw: Mapping[str, Any]) -> str:
    """Where the user wrote a value: under the condition, or under `defaults`."""
    if len(location) >= 3 and location[0] == "conditions":
        conditions = raw.get("conditions") or {}
        own, defaults = conditions.get(location[1]) or {}, raw.get("defaults") or {}
        branch = own.get("branch") if isinstance(own, Mapping) else None
        if isinstance(branch, Mapping) and location[2] not in ("branch", "measurements"):
            if _has(branch.get("change"), location[2:]):
                return ".".join((*location[:2], "branch", "change", *location[2:]))
            if branch.get("from") in conditions and branch["from"] != location[1]:
                return place(("conditions", branch["from"], *location[2:]), raw)
        if not _has(own, location[2:]) and _has(defaults, location[2:]):
            return ".".join(("defaults", *location[2:]))
    return ".".join(location)


def _has(settings: Any, path: tuple[str, ...]) -> bool:
    """Whether nested settings have a value at this path."""
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return False
        settings = settings[key]
    return True


def at(where: str, value: Any, right: str) -> str:
    """A value that cannot be, with what would be right."""
    return f"{where} = {value!r}: {right}"


def listed(faults: Iterator[str]) -> str:
    """Each fault once: one in `defaults` would be repeated by every condition."""
    return "\n".join(["the config cannot run:", *(f"  {fault}" for fault in dict.fromkeys(faults))])


def _fields(location: tuple[str, ...], root: type[BaseModel]) -> dict[str, Any]:
    """The fields of the settings that a key at this location would belong to."""
    if location[:1] == ("conditions",) and location[2:3] != ("branch",):
        location = ("defaults", *location[2:])
    settings: Any = root
    for part in location[:-1]:
        if part in settings.model_fields:  # else a key of a mapping, whose values are settings
            settings = _settings_in(settings.model_fields[part].annotation)
    return {field.alias or name: field for name, field in settings.model_fields.items()}


def _settings_in(annotation: Any) -> Any:
    """The kind of settings in an annotation that also allows none, or is a mapping of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _settings_in(part))), None)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
