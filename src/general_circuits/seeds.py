"""Separate streams of random numbers, one per replica and purpose, so that changing one choice moves no other."""

from __future__ import annotations

import hashlib
from typing import Literal

Purpose = Literal[
    "initialisation",
    "batches",
    "split",
    "labels",
    "ablation",
    "donors",
    "inputs",
    "noise",
    "shapley",
    "parts",
    "memorisers",
    "generaliser",
    "shuffled_labels",
    "kick",
    "interventions",
]


def stream_seed(seed: int, purpose: Purpose) -> int:
    """A 63-bit seed for one purpose of one replica, equal on every machine."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
