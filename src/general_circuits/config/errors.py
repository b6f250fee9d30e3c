"""Messages that refuse a config: each names the key at fault, the value found, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel


class ConfigError(ValueError):
    """Refusal of a config that cannot run. The message lists every fault."""


LONGEST = 60
"""Number of letters after which a message cuts a value."""


def cut(value: Any, quoted: bool = True) -> str:
    """Return a value as a message shows it: on one line, and without the end if it is long."""
    text = repr(value) if quoted or not isinstance(value, str) else repr(value)[1:-1]
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def explained(fault: Any, raw: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Return the message for one of pydantic's errors.

    Args:
        fault: an entry of pydantic's `errors()`.
        raw: the config as the user wrote it.
        root: the model of a whole config, whose fields are the known keys.
    """
    # Pydantic's locations also name validators and members of unions, which no user wrote.
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
        "string_pattern_mismatch": "should have lower-case letters, digits and underscores, and begin with a letter",
        "model_type": "should be a mapping of keys to values",
        "dict_type": "should be a mapping of keys to values",
    }.get(kind, fault["msg"].replace("Input should be", "should be"))
    return at(place(location, raw), value, reason)


def place(location: tuple[str, ...], raw: Mapping[str, Any]) -> str:
    """Return the path, with dots, at which the user wrote a value.

    Before they are checked, conditions take settings from `defaults` and branches take them from their parents. So a
    fault in a condition can lie in its branch's `change`, in its parent, or in `defaults`.

    Args:
        location: keys of the value in the merged config.
        raw: the config as the user wrote it.
    """
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
    """Return whether nested settings have a value at this path."""
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return False
        settings = settings[key]
    return True


def at(where: str, value: Any, right: str) -> str:
    """Return the message for one wrong value."""
    return f"{where} = {value!r}: {right}"


def listed(faults: Iterator[str]) -> str:
    """Return the message of several faults, each once. Every condition would repeat a fault in `defaults`."""
    return "\n".join(["the config cannot run:", *(f"  {fault}" for fault in dict.fromkeys(faults))])


def _fields(location: tuple[str, ...], root: type[BaseModel]) -> dict[str, Any]:
    """Return the fields, by key, of the settings that the last key of this location stands in."""
    if location[:1] == ("conditions",) and location[2:3] != ("branch",):
        location = ("defaults", *location[2:])
    settings: Any = root
    for part in location[:-1]:
        # Other parts are keys of a mapping, such as a condition's name; its values have the fields of one model.
        if part in settings.model_fields:
            settings = _settings_in(settings.model_fields[part].annotation)
    return {field.alias or name: field for name, field in settings.model_fields.items()}


def _settings_in(annotation: Any) -> Any:
    """Return the first model in an annotation such as `Model | None` or `dict[str, Model]`; `None` without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _settings_in(part))), None)


def _nearest(word: str, known: Any) -> str:
    """Return a hint at the known key that is closest to a word, or at all known keys."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
