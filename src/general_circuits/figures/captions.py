"""Words for numbers, in the sentences that every figure says about itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from general_circuits import formatting
from general_circuits.analysis.windows import late_window, over_replicas, steps_of_events, value_at
from general_circuits.figures import style


def span(values: Sequence[float] | pd.Series, form: str = "{:,.0f}") -> str:
    """The range of what is known: "350", "350 to 400", or "–" if nothing is."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return formatting.UNKNOWN
    ends = [form.format(min(known)), form.format(max(known))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def reached(steps: pd.Series) -> str:
    """At which steps an event came, and in how many of the replicas if not in all: missing steps are censored."""
    known = int(steps.notna().sum())
    if not known:
        return "in no replica"
    where = f"at step {span(steps)}"
    return where if known == len(steps) else f"{where} in {known} of {len(steps)} replicas"


def from_memorised_to_late(frame: pd.DataFrame, value: str, events: pd.DataFrame) -> str:
    """Each condition's mean over replicas at t_m and over the late window, at grokking's steps.

    Args:
        frame: with `condition`, `replica`, `step` and the value.
        value: its name.
        events: the table.
    """
    steps = steps_of_events(events, "grokking")
    if steps.empty:
        return ""
    parts = []
    for condition in frame["condition"].cat.categories:
        here = frame[frame["condition"] == condition]
        ends = (
            over_replicas(here, value, steps, lambda series, at: value_at(series, at["memorised"])),
            over_replicas(here, value, steps, lambda series, at: late_window(series, at["generalised"])),
        )
        written = " → ".join(formatting.plain(float(pd.Series(end).mean())) for end in ends)
        parts.append(f"{style.readable(condition)} {written}")
    return f"Means over replicas at t_m → in the late window: {'; '.join(parts)}."
