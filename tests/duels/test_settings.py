"""Settings of planted duels, which reach stages as JSON."""

from __future__ import annotations

import pytest
from duel_builders import small
from pydantic import ValidationError

from general_circuits.duels.settings import Duels, Planting
from general_circuits.records import from_json, to_json


def test_settings_come_back_from_json_as_they_were() -> None:
    planting, duels = small()
    assert from_json(Planting, to_json(planting)) == planting
    assert from_json(Duels, to_json(duels)) == duels


def test_settings_that_come_back_from_json_can_be_hashed() -> None:
    """Lists of JSON become tuples again, as in frozen records."""
    planting, duels = small()
    assert hash(from_json(Planting, to_json(planting))) == hash(planting)
    assert hash(from_json(Duels, to_json(duels))) == hash(duels)


def test_an_unknown_scaling_is_refused_by_name() -> None:
    _, duels = small()
    with pytest.raises(ValidationError, match="scalings"):
        from_json(Duels, to_json(duels).replace("halfway", "nowhere"))
