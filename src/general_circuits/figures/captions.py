"""Words for numbers, in the descriptions of figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from general_circuits import formatting
from general_circuits.analysis.moments import BASELINE, steps_of
from general_circuits.analysis.variants import BASE
from general_circuits.analysis.windows import late_window, over_replicas, value_at
from general_circuits.figures import style

NO_GROKKING = "The study has no condition named grokking."
"""Description of a figure whose values are read at grokking's events, in a study without that condition."""


def span(values: Sequence[float] | pd.Series, form: str = "{:,.0f}") -> str:
    """Write the range of the known values: "350", "350 to 400", or "–" if none is known."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return formatting.UNKNOWN
    ends = [form.format(min(known)), form.format(max(known))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def reached(steps: pd.Series) -> str:
    """Write the steps at which replicas reached an event, and how many of them did if not all.

    Args:
        steps: step of each replica, missing where it is censored.
    """
    known = int(steps.notna().sum())
    if not known:
        return "in no replica"
    where = f"at step {span(steps)}"
    return where if known == len(steps) else f"{where} in {known} of {len(steps)} replicas"


def from_memorised_to_late(frame: pd.DataFrame, value: str, moments: pd.DataFrame, name: str) -> str:
    """Write each condition's mean over replicas at its baseline and over the late window of its partner.

    Args:
        frame: columns `condition`, `replica`, `step` and the value.
        value: the value's column.
        moments: the table of that name.
        name: the value in words.

    Returns:
        One sentence; empty if the table has no moments of grokking.
    """
    if not (moments["condition"] == BASE).any():
        return ""
    parts = []
    for condition in frame["condition"].cat.categories:
        rows, steps = frame[frame["condition"] == condition], steps_of(moments, condition)
        ends = (
            over_replicas(rows, value, steps, lambda series, at: value_at(series, at[BASELINE])),
            over_replicas(rows, value, steps, lambda series, at: late_window(series, at["generalised"])),
        )
        written = " to ".join(formatting.plain(float(pd.Series(end).mean())) for end in ends)
        parts.append(f"{style.readable(condition)} {written}")
    return f"Mean {name} over replicas, from t_m to the late window: {'; '.join(parts)}."
