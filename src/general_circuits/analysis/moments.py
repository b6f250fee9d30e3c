"""Moments: the steps of a replica at which claims read its weights, from its own events and its partner's.

A partner is the replica of grokking with the same number. Both have the same split and the same seeds. A control is
read at its partner's moments, so that both have trained equally long. Before any of them, both must have memorised.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from general_circuits.analysis.preconditions import MEMORISED

BASELINE = "baseline"
"""Moment from which changes are measured: the later of the replica's t_m and its partner's."""
AROUND_ONSET = "around_onset"
"""Name of the evenly spaced steps around a replica's own onset, which claims do not read."""
MOMENTS: Mapping[str, str] = {
    BASELINE: "the later of the replica's own t_m and its partner's",
    "memorised": "its partner's t_m",
    "onset": "its partner's t_o",
    "generalised": "its partner's t_g",
    "before": "as long before t_o as t_g is after it, but not before the baseline",
    "after": "as long after t_g as t_g is after t_o",
    "late_end": "1.5 t_g, the end of the late window",
}
"""Moments by name, each with its definition."""


def moments(own: Mapping[str, float], partner: Mapping[str, float], last: int) -> pd.DataFrame:
    """Return the moments of one replica that happened, columns `moment`, `step` and `is_cut`.

    Args:
        own: steps of the replica's events, NaN where censored.
        partner: steps of its partner's events.
        last: last step of the replica. A moment after it is moved there, and is_cut.

    A moment that follows from a censored event did not happen.
    """
    memorised, onset, generalised = (partner[event] for event in ("memorised", "onset", "generalised"))
    baseline = float(np.maximum(own["memorised"], memorised))  # NaN where either is
    rise = generalised - onset
    steps = {
        BASELINE: baseline,
        "memorised": memorised,
        "onset": onset,
        "generalised": generalised,
        "before": max(onset - rise, baseline) if np.isfinite([rise, baseline]).all() else np.nan,
        "after": generalised + rise,
        "late_end": np.floor(1.5 * generalised),
    }
    happened = {name: int(step) for name, step in steps.items() if np.isfinite(step)}
    return pd.DataFrame(
        {"moment": name, "step": min(step, last), "is_cut": step > last} for name, step in happened.items()
    )


def steps_of(moments: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the steps of one condition's moments: a row per replica, a column per moment, NaN where it did not happen.

    Args:
        moments: the table `moments`.
        condition: name of the condition.
    """
    rows = moments[(moments["condition"] == condition) & (moments["moment"] != AROUND_ONSET)]
    names = rows["moment"].astype(str)
    steps = rows.assign(moment=names).pivot(index="replica", columns="moment", values="step")
    replicas = sorted(moments.loc[moments["condition"] == condition, "replica"].unique())
    return steps.astype(float).reindex(index=replicas, columns=list(MOMENTS))


def is_cut(moments: pd.DataFrame, condition: str, moment: str = "late_end") -> pd.Series:
    """Tell by replica whether training ended before this moment."""
    rows = moments[(moments["condition"] == condition) & (moments["moment"] == moment)]
    return rows.set_index("replica")["is_cut"].astype(bool)


def accuracy_at(moments: pd.DataFrame, condition: str, moment: str = BASELINE) -> pd.Series:
    """Return the training accuracy at a moment by replica, NaN where it did not happen."""
    rows = moments[(moments["condition"] == condition) & (moments["moment"] == moment)]
    replicas = steps_of(moments, condition).index
    return rows.set_index("replica")["train_accuracy"].reindex(replicas).astype(float)


def has_baseline(moments: pd.DataFrame, condition: str) -> pd.Series:
    """Tell by replica whether it had memorised at its baseline, and its partner generalised only after that."""
    steps = steps_of(moments, condition)
    return (accuracy_at(moments, condition) >= MEMORISED) & (steps[BASELINE] < steps["generalised"])
