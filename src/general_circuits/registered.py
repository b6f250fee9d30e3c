"""Choices of the registered definitions, and the rows of tables that they read.

Measurements, claims and figures share them.
"""

from __future__ import annotations

import pandas as pd

BASE = "grokking"
"""Name of the condition that variants are compared with, and whose replicas are the partners of all others."""

REGISTERED = {
    "split": "train",
    "site": "mlp",
    "method": "activation_gradient",
    "target": "right_minus_mean",
    "normalisation": "raw",
}
"""Values that the registered definitions read of these columns, where a table has them.

Of each condition they read the last layer.
"""

SHARE = 0.25
"""Share of the neurons at which the area D of a damage curve ends: D is the mean over k from 1 to there."""


def registered_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a saliency table that the registered definitions read."""
    return in_last_layer(rows_of(frame, **{name: value for name, value in REGISTERED.items() if name in frame}))


def rows_of(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Return the rows that have these values: column name = value."""
    kept = pd.Series(True, index=frame.index)
    for name, value in values.items():
        kept &= frame[name] == value
    return frame[kept]


def in_last_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each condition's last layer."""
    return rows[rows["layer"] == rows.groupby("condition", observed=True)["layer"].transform("max")]
