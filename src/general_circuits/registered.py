"""What measurements, claims and figures share: the registered choices, and how they are read off tables."""

from __future__ import annotations

import pandas as pd

REGISTERED = {
    "split": "train",
    "site": "mlp",
    "method": "activation_gradient",
    "target": "right_minus_mean",
    "normalisation": "raw",
}
"""What the registered definitions read, of each column that a table has; and of each condition the last layer."""

SHARE = 0.25
"""The area D of a damage curve is its mean over k from 1 to this share of the neurons."""


def registered_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of saliency that the registered definitions read."""
    return in_last_layer(rows_of(frame, **{name: value for name, value in REGISTERED.items() if name in frame}))


def rows_of(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows that have these values."""
    kept = pd.Series(True, index=frame.index)
    for name, value in values.items():
        kept &= frame[name] == value
    return frame[kept]


def in_last_layer(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of each condition's last layer."""
    return rows[rows["layer"] == rows.groupby("condition", observed=True)["layer"].transform("max")]
