"""Small configs, and the faults for which a config is refused."""

from __future__ import annotations

from typing import Any

import pytest

from general_circuits.config.errors import ConfigError
from general_circuits.config.kinds import Settings
from general_circuits.config.load import load
from general_circuits.training.settings import Condition


def study(**changes: Any) -> dict[str, Any]:
    """Return a config that runs, with some keys changed."""
    return {"study": "tiny", "conditions": {"grokking": {}}, **changes}


def resolved(**defaults: Any) -> Condition:
    """Return the condition `grokking` of a study with these defaults, as stages get it."""
    return load(study(defaults=defaults)).conditions["grokking"].resolve()


def faults(raw: Any) -> list[str]:
    """Return the lines of the message that refuses this config, below its heading."""
    with pytest.raises(ConfigError) as refused:
        load(raw)
    heading, *lines = str(refused.value).splitlines()
    assert heading == "the config cannot run:"
    return [line.strip() for line in lines]


def undescribed(section: type[Settings]) -> set[str]:
    """Return the keys of a section that have no description."""
    return {name for name, field in section.model_fields.items() if not field.description}
