"""Settings of a job for all tests here, but torch fills new memory with NaN: reading unwritten memory then shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from general_circuits import devices


@pytest.fixture(autouse=True)
def as_in_a_job() -> Iterator[None]:
    mode = torch.get_deterministic_debug_mode()
    devices.set_up("cpu")
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty_like(torch.ones(3)).isnan().all()
    yield
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.set_deterministic_debug_mode(mode)
