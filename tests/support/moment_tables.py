"""The table `moments` of simulated studies, made from their events as a replay makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from general_circuits.analysis.moments import moments

EVENTS = ("memorised", "onset", "generalised")
COLUMNS = ("condition", "replica", "moment", "step", "is_cut", "train_accuracy", "validation_accuracy")


def moments_table(
    partners: pd.DataFrame,
    memorised: Mapping[str, float | Sequence[float]],
    last: int,
    accuracy: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return the table `moments` of grokking and of other conditions.

    Args:
        partners: steps of grokking's events, a row per replica, NaN where censored.
        memorised: t_m of each condition's replicas, or of all of them; NaN where they never memorise.
        last: last step of training.
        accuracy: training accuracy of a condition at all of its moments, where it is not 1.
    """
    frames = []
    for condition, steps in memorised.items():
        of_replicas = np.broadcast_to(np.asarray(steps, dtype=float), len(partners))
        for (replica, partner), own in zip(partners.iterrows(), of_replicas, strict=True):
            rows = moments({"memorised": own}, partner, last)
            reached = (accuracy or {}).get(condition, 1.0)
            frames.append(
                rows.assign(condition=condition, replica=replica, train_accuracy=reached, validation_accuracy=0.0)
            )
    table = pd.concat(frames, ignore_index=True).reindex(columns=COLUMNS)
    return table.assign(
        condition=pd.Categorical(table["condition"], categories=list(memorised)),
        moment=table["moment"].astype("category"),
    )


def without(moments: pd.DataFrame, replicas: Sequence[int]) -> pd.DataFrame:
    """Return the moments of a study in which these replicas of grokking never memorised: they have none."""
    return moments[~moments["replica"].isin(replicas)]


def partners(replicas: int, steps: Mapping[str, float], censored: Sequence[int] = ()) -> pd.DataFrame:
    """Return steps of grokking's events, the same in each replica; `censored` replicas never leave the plateau."""
    frame = pd.DataFrame(
        {event: float(steps[event]) for event in EVENTS}, index=pd.RangeIndex(replicas, name="replica")
    )
    frame.loc[list(censored), ["onset", "generalised"]] = np.nan
    return frame
