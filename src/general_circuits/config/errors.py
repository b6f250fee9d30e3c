"""Messages that refuse a config: each names the key at fault, the value found, and what would be right."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from general_circuits.config.kinds import ALPHABETS


class ConfigError(ValueError):
    """Refusal of a config that cannot run. The message lists every fault."""


LONGEST = 60
"""Number of letters after which a message cuts a value."""
MOST_FAULTS, MOST_NAMES = 20, 12
"""Numbers of faults and of possible values that a message lists."""
WORDS = reprlib.Repr()
"""Spelling of values that may be deep, long, or contain themselves."""
WORDS.maxlevel, WORDS.maxstring, WORDS.maxother, WORDS.maxlong = 3, 4 * LONGEST, 4 * LONGEST, 4 * LONGEST
KINDS = {
    "a valid integer, unable to parse string as an integer": "a whole number",
    "a valid integer, got a number with a fractional part": "a whole number",
    "a valid integer": "a whole number",
    "a valid number, unable to parse string as a number": "a number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "a valid list": "a list",
    "a valid tuple": "a list",
}
"""Words for pydantic's names of kinds of values. Longer names come before those that begin them."""
Location = tuple[str | int, ...]
"""Keys, and positions in lists, that lead to a value."""


def cut(value: Any, quoted: bool = True) -> str:
    """Return a value as a message shows it: on one line, and without the end if it is long."""
    try:
        text = WORDS.repr(value)
    except ValueError:  # Python spells no whole number of more than 4,300 digits
        text = "a number of thousands of digits"
    text = text if quoted or not isinstance(value, str) else text[1:-1]
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def explained(faults: Sequence[Any], raw: Mapping[str, Any], merged: Any, root: type[BaseModel]) -> Iterator[str]:
    """Yield a message for each wrong value.

    Args:
        faults: pydantic's `errors()`. If a value may be of several kinds, each kind has a fault of its own.
        raw: the config as the user wrote it.
        merged: the config with the settings that conditions inherit, which was checked.
        root: the model of a whole config, whose fields are the known keys.
    """
    located: dict[Location, list[Any]] = {}
    for fault in faults:
        located.setdefault(_location(fault, merged), []).append(fault)
    around = {location[:length] for location in located for length in range(len(location))}
    for location, here in located.items():
        # A list that fits no kind is faulty itself, and its items are too: they say more.
        if location not in around:
            yield _message(tuple(str(part) for part in location if not isinstance(part, int)), here, raw, root)


def _location(fault: Any, merged: Any) -> Location:
    """Return the keys that lead to a fault. Pydantic's also name validators and kinds, which no user wrote."""
    keys: list[str | int] = []
    value = merged
    for part in fault["loc"]:
        is_item = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_item or (isinstance(value, Mapping) and part in value):
            keys.append(part)
            value = value[part]
    if fault["type"] == "missing":
        keys.append(fault["loc"][-1])
    return tuple(keys)


def _message(location: tuple[str, ...], faults: Sequence[Any], raw: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Return the message for one value. It has several faults if it fits none of several kinds."""
    kind, value = faults[0]["type"], faults[0]["input"]
    if kind == "extra_forbidden":
        return f"{place(location, raw)}: unknown key{nearest(location[-1], tuple(_fields(location, root)))}"
    if kind == "missing":
        return f"{dotted(*location)}: missing; {_fields(location, root)[location[-1]].description or 'needed'}"
    # Where one kind fits and only its range does not, the other kinds say nothing.
    telling = [fault for fault in faults if not fault["type"].endswith(("_type", "literal_error"))] or faults
    reasons = list(dict.fromkeys(map(_reason, telling)))
    if hint := next((reason for reason in reasons if reason.startswith("did you mean")), ""):
        reasons = [hint]
    others = [reason.removeprefix("should be ") for reason in reasons[1:]]
    return at(place(location, raw), value, " or ".join([reasons[0], *others]))


def _reason(fault: Any) -> str:
    """Return in words what would be right in place of a wrong value."""
    context = fault.get("ctx", {})
    match fault["type"]:
        case "literal_error":
            known = re.findall("'([^']*)'", context["expected"])
            close = difflib.get_close_matches(str(fault["input"]), known, n=1, cutoff=0.7)
            return f"did you mean {close[0]}?" if close else f"should be {context['expected']}"
        case "too_short":
            return (
                "should not be empty" if context["min_length"] == 1 else f"should have {context['min_length']} or more"
            )
        case "too_long":
            return f"should have at most {context['max_length']:,} entries"
        case "string_too_long":
            return f"should have at most {context['max_length']:,} letters"
        case "string_pattern_mismatch":
            return ALPHABETS[context["pattern"]]
        case "model_type" | "dict_type":
            return "should be a mapping of keys to values"
    text = str(fault["msg"]).replace("Input should be", "should be")
    for pydantics, ours in KINDS.items():
        text = text.replace(pydantics, ours)
    return text


def place(location: tuple[str, ...], raw: Mapping[str, Any]) -> str:
    """Return the path, with dots, at which the user wrote a value.

    Before they are checked, conditions take settings from `defaults` and branches take them from their parents. So a
    fault in a condition can lie in its branch's `change`, in its parent, or in `defaults`.

    Args:
        location: keys of the value in the merged config.
        raw: the config as the user wrote it.
    """
    if len(location) >= 3 and location[0] == "conditions":
        conditions, defaults = mapping(raw.get("conditions")), mapping(raw.get("defaults"))
        own = mapping(conditions.get(location[1]))
        branch = mapping(own.get("branch"))
        if branch and location[2] not in ("branch", "measurements"):
            if _has(branch.get("change"), location[2:]):
                return dotted(*location[:2], "branch", "change", *location[2:])
            parent = branch.get("from")
            # A branch of a branch is refused, and inherits nothing.
            if isinstance(parent, str) and parent in conditions and not mapping(conditions[parent]).get("branch"):
                return place(("conditions", parent, *location[2:]), raw)
        if not _has(own, location[2:]) and _has(defaults, location[2:]):
            return dotted("defaults", *location[2:])
    return dotted(*location)


def dotted(*keys: str) -> str:
    """Return keys as a path with dots, each key without its end if it is long."""
    return ".".join(cut(key, quoted=False) for key in keys)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value if it is a mapping; an empty one otherwise."""
    return value if isinstance(value, Mapping) else {}


def _has(settings: Any, path: tuple[str, ...]) -> bool:
    """Return whether nested settings have a value at this path."""
    for key in path:
        if not isinstance(settings, Mapping) or key not in settings:
            return False
        settings = settings[key]
    return True


def at(where: str, value: Any, right: str) -> str:
    """Return the message for one wrong value."""
    return f"{where} = {cut(value)}: {right}"


def listed(faults: Iterable[str], heading: str = "the config cannot run:") -> str:
    """Return the message of several faults, each once. Every condition would repeat a fault in `defaults`."""
    different = list(dict.fromkeys(faults))
    more = [f"and {len(different) - MOST_FAULTS:,} more"] if len(different) > MOST_FAULTS else []
    return "\n  ".join([heading, *different[:MOST_FAULTS], *more])


def some(names: Iterable[str], where: str = "") -> str:
    """Return a list of names in words. Where there are many it breaks off, and may say where all of them are."""
    every = list(names)
    return ", ".join([*every[:MOST_NAMES], f"…{where}"] if len(every) > MOST_NAMES else every)


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


@cache
def nearest(word: str, known: tuple[str, ...]) -> str:
    """Return a hint at the known key that is closest to a word, or at all known keys."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    every = some(known, "; config/README.md lists all")
    return f"; did you mean {close[0]}?" if close else f"; known: {every}"
