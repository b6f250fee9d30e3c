"""How torch computes here: one pinned thread per job, no nondeterministic kernel, so equal work is equal bytes.

On one kind of processor: kernels are chosen by what it can do, another one rounds otherwise, and training makes that
grow.
"""

from __future__ import annotations

import os

import torch


def set_up(name: str) -> torch.device:
    """Set torch up for one job and return its device, "cpu" or "cuda"."""
    torch.set_num_threads(1)
    if name == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise SystemExit(
                "device = 'cuda': torch finds no GPU here; set device: cpu, or install a CUDA build of torch"
            )
    # Deterministic mode would also set all new memory to NaN, which takes time; the tests do let it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, without its two seconds of imports
    return torch.device(name)
