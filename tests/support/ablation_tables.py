"""Tables of deletions that several tests share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pandas as pd

Left = Callable[[str, int, int, str, float], float]
"""Function of condition, replica, step, ranking and share of deleted units that returns the accuracy left."""


def deletions(
    conditions: Sequence[str], left: Left, steps: Sequence[int], replicas: int = 3, units: int = 8
) -> pd.DataFrame:
    """Build an `ablation` table of one layer and every ranking. It also has rows that a claim must not read.

    The two random draws are `left` ± 0.05.
    """
    registered = ("included", "zero", "top", "mean_magnitude", "activation_gradient", "right_minus_mean", "raw", 0)
    kinds = [
        registered,
        ("included", "zero", "random", "none", "none", "none", "none", 0),
        ("included", "zero", "random", "none", "none", "none", "none", 1),
        ("excluded", *registered[1:]),
        ("included", "mean", *registered[2:]),
        (*registered[:3], "median", *registered[4:]),
        (*registered[:4], "conductance", *registered[5:]),
    ]
    rows = []
    for condition, replica, step, kind, k in itertools.product(
        conditions, range(replicas), steps, kinds, sorted({0, 1, 2, units // 2, 3 * units // 4, units})
    ):
        is_read = kind == registered or kind[2] == "random"
        value = left(condition, replica, step, kind[2], k / units) if is_read or k == 0 else 0.123
        value += (0.1 * kind[-1] - 0.05) * (kind[2] == "random" and k > 0)
        rows.append((condition, replica, step, "train", 0, "mlp", *kind, k, value, 10 * value - 2))
    frame = pd.DataFrame(
        rows,
        columns=[
            *("condition", "replica", "step", "split", "layer", "site", "dead_units", "deletion", "ranking", "by"),
            *("method", "target", "normalisation", "draw", "k", "accuracy", "matched_margin"),
        ],
    )
    # A claim reads neither the validation examples nor the heads.
    others = [frame.assign(split="validation", accuracy=0.2), frame.assign(site="head_outputs", accuracy=0.3, layer=1)]
    table = pd.concat([frame, *others], ignore_index=True)
    return table.assign(condition=pd.Categorical(table["condition"], categories=list(conditions)))
