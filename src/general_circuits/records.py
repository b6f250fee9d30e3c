"""Frozen records to and from JSON, and as flat mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


@cache
def to_json(record: Any) -> str:
    """The record as JSON with sorted keys, so that equal settings are equal bytes."""
    return json.dumps(record, sort_keys=True, default=vars)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to one mapping, keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def from_json(kind: type[Record], text: str) -> Record:
    """The record of this `kind` that `to_json` wrote."""
    return TypeAdapter(kind).validate_json(text)
