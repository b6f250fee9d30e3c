"""Events: the steps at which something happened, found in the metrics by the definitions of the claims."""

from __future__ import annotations

import numpy as np
import pandas as pd

EVENTS = ("memorised", "validation_loss_peak", "onset", "generalised")


def find(metrics: pd.DataFrame) -> pd.DataFrame:
    """The `metrics` table → the `events` table: one row per replica and event.

    An event that never came is censored, its step the last evaluation before divergence, if any.
    """
    rows = []
    for (condition, replica), run in metrics.groupby(["condition", "replica"], observed=True, sort=False):
        last = int(run.loc[~run["diverged"], "step"].max()) if not run["diverged"].all() else 0
        for event, step in events_of_run(run).items():
            rows.append(
                {
                    "condition": condition,
                    "replica": replica,
                    "event": event,
                    "step": last if step is None else step,
                    "censored": step is None,
                }
            )
    return pd.DataFrame(rows)


def events_of_run(run: pd.DataFrame) -> dict[str, int | None]:
    """The events of one replica, None where not reached.

    `memorised`: the first of three consecutive evaluations with training accuracy ≥ 0.99. The plateau is the mean
    validation accuracy of those three. `onset` and `generalised`: the first evaluation from then on at which
    validation accuracy has made 5 % and 99 % of its way from the plateau to 1. `validation_loss_peak`: the largest
    validation loss, if it falls after that. A run that diverges has no event from there on.
    """
    run = run[~run["diverged"]]
    train = run[run["split"] == "train"].sort_values("step")
    validation = run[run["split"] == "validation"].sort_values("step")
    steps = train["step"].to_numpy()
    losses, accuracy = validation["loss"].to_numpy(), validation["accuracy"].to_numpy()
    found: dict[str, int | None] = dict.fromkeys(EVENTS)
    peak = int(np.argmax(losses)) if len(steps) else 0
    if (losses[peak + 1 :] < losses[peak : peak + 1]).any():
        found["validation_loss_peak"] = int(steps[peak])
    fits = train["accuracy"].to_numpy() >= 0.99
    three_in_a_row = np.flatnonzero(fits[:-2] & fits[1:-1] & fits[2:])
    if not len(three_in_a_row):
        return found
    start = int(three_in_a_row[0])
    found["memorised"] = int(steps[start])
    plateau = accuracy[start : start + 3].mean()
    for event, share in (("onset", 0.05), ("generalised", 0.99)):
        reached = np.flatnonzero(accuracy[start:] >= plateau + share * (1 - plateau))
        if len(reached):
            found[event] = int(steps[start + reached[0]])
    return found
