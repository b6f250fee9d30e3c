"""Torch set up for a job: one thread, deterministic kernels, and a plain message where there is no GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from general_circuits import devices


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """Leave torch and the environment to other tests as they were."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    fills, workspace = torch.utils.deterministic.fill_uninitialized_memory, os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    torch.set_deterministic_debug_mode(mode)
    torch.utils.deterministic.fill_uninitialized_memory = fills
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    if workspace is not None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = workspace


def test_a_job_computes_on_one_thread_with_deterministic_kernels_only() -> None:
    torch.set_num_threads(2)
    assert devices.set_up("cpu") == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_deterministic_debug_mode() == 2  # an error, not a warning


def test_new_memory_is_not_filled_first() -> None:
    devices.set_up("cpu")
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_a_job_for_a_gpu_is_refused_where_torch_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="device = 'cuda': torch finds no GPU here; set device: cpu"):
        devices.set_up("cuda")


@pytest.mark.parametrize(("chosen", "expected"), [(None, ":4096:8"), (":16:8", ":16:8")])
def test_a_gpu_has_a_workspace_of_fixed_size_unless_the_user_chose_one(
    chosen: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    if chosen is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    else:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", chosen)
    assert devices.set_up("cuda") == torch.device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_subnormal_numbers_count_as_zero_in_every_operation_of_a_job(dtype: torch.dtype) -> None:
    least = torch.finfo(dtype).smallest_normal
    torch.set_flush_denormal(False)
    small = torch.full((16,), least, dtype=dtype)
    halves = small / 2  # subnormal
    assert (halves > 0).all()
    devices.set_up("cpu")
    assert (small / 2 == 0).all()  # as a result
    assert (halves + halves == 0).all()  # as an operand
    assert (small * 2 / 2 == small).all()  # the least normal number stays
    # Matrix products run on other kernels, and backward passes may run on another thread.
    assert (small[None] @ torch.full((16, 1), 0.01, dtype=dtype)).item() == 0
    weight = small.clone().requires_grad_()
    (weight * 0.25 * least).sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 0).all()
