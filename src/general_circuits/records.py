"""Frozen records as JSON and back, and nested settings as flat mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Record = TypeVar("Record")


@cache
def to_json(record: Any) -> str:
    """Return a record as JSON with sorted keys, so that equal settings give equal bytes."""
    return json.dumps(record, sort_keys=True, default=vars)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to one mapping, with keys joined by dots."""
    flattened: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        flattened |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flattened


def from_json(kind: type[Record], text: str) -> Record:
    """Return the record of this `kind` that `to_json` wrote.

    Raises:
        pydantic.ValidationError: a key is missing, or a value is none that the record allows.
    """
    return TypeAdapter(kind).validate_json(text)
