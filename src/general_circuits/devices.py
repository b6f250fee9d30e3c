"""Torch's device for a job: one thread and deterministic kernels only, so that equal jobs write equal bytes.

Subnormal numbers, those below 1.2e-38 in float32, count as zero. A network without weight decay is ever surer of its
answers, so that most of its probabilities and gradients become subnormal. Intel's processors need over ten times as
long for an operation on one of them.

This holds on one kind of processor. Torch picks its kernels by the processor's features, and another kernel rounds
differently. Training makes such differences grow.
"""

from __future__ import annotations

import os

import torch


def set_up(name: str) -> torch.device:
    """Set torch up for one job and return its device.

    Args:
        name: "cpu" or "cuda".

    Raises:
        SystemExit: "cuda" is asked for, but torch finds no GPU.
    """
    torch.set_num_threads(1)
    # It holds for this thread, and a job has no other thread. Processors that cannot do it compute as before.
    torch.set_flush_denormal(True)
    if name == "cuda":
        # CUDA's matrix products are deterministic only in a workspace of fixed size, set before the first of them.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise SystemExit(
                "device = 'cuda': torch finds no GPU here; set device: cpu, or install a CUDA build of torch"
            )
    # Deterministic mode would also fill all new memory with NaN, which costs time. Only the tests leave that on.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, without its two seconds of imports
    return torch.device(name)
