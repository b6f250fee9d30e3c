"""Seeds of separate random streams, one per replica and purpose: changing one choice leaves all other draws alone."""

from __future__ import annotations

import hashlib
from typing import Literal

Purpose = Literal[
    "initialisation",
    "perturbation",
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
    """Return a 63-bit seed for one purpose of one replica, equal on every machine."""
    # Python's own hash() differs between processes; SHA-256 does not.
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    # 63 bits: torch and NumPy both take every non-negative signed 64-bit number.
    return int.from_bytes(digest[:8], "big") >> 1
