"""Fixtures of tests that train."""

from __future__ import annotations

import pytest

from general_circuits.training.schedule import Schedule


@pytest.fixture
def a_state_every_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep states at multiples of 7 steps."""
    monkeypatch.setattr(Schedule, "state_every", 7)
