"""What claims and figures share in reading measurement tables."""

from __future__ import annotations

import pandas as pd

REGISTERED_METHOD = "activation_gradient"


def registered_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a measurement table that the registered definitions read.

    Training examples, each condition's last layer, and where the table has several saliency methods the registered one.
    """
    rows = frame[frame["split"] == "train"]
    if "method" in rows:
        rows = rows[rows["method"] == REGISTERED_METHOD]
    last = rows.groupby("condition", observed=True)["layer"].transform("max")
    return rows[rows["layer"] == last]
