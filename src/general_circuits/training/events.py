"""Events: the steps at which something happened, found in the metrics by the definitions of the claims."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

EVENTS = ("memorised", "validation_loss_peak", "onset", "generalised")
"""What is looked for in a run, by name."""

BRANCHED = "branched"
LEARNED = ("memorised", "onset", "generalised")


def find(metrics: pd.DataFrame) -> pd.DataFrame:
    """The `metrics` table → the `events` table: one row per replica and event.

    An event that never came is censored, its step the last evaluation before divergence, if any.
    """
    found = []
    for (condition, replica), run in metrics.groupby(["condition", "replica"], observed=True, sort=False):
        found.append(_rows(run, events_of_run(run)).assign(condition=condition, replica=replica))
    return pd.concat(found, ignore_index=True)


def find_of_branch(metrics: pd.DataFrame, parent: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The events of a branch, whose replicas have the history of its parent until they leave it.

    One more is `branched`, where they do; what the parent had learned by then, it had, whatever a branch makes of it. A
    replica that never left has no event.

    Args:
        metrics: the branch's.
        parent: those of its parent.
        condition: its name.
    """
    found = []
    for replica, before in parent.groupby("replica", sort=False):
        run = metrics[metrics["replica"] == replica]
        if len(run):
            start = int(run["step"].min())
            whole = pd.concat([before[before["step"] < start], run], ignore_index=True)
            had = events_of_run(before)
            kept = {event: step for event in LEARNED if (step := had[event]) is not None and step <= start}
            plateau = _plateau(before, kept["memorised"]) if "memorised" in kept else None
            events = _rows(whole, {BRANCHED: start, **events_of_run(whole, kept, plateau)})
        else:
            events = _rows(before, dict.fromkeys((BRANCHED, *EVENTS)))
        found.append(events.assign(condition=condition, replica=replica))
    return pd.concat(found, ignore_index=True)


def _rows(run: pd.DataFrame, events: Mapping[str, int | None]) -> pd.DataFrame:
    last = int(run.loc[~run["diverged"], "step"].max()) if not run["diverged"].all() else 0
    return pd.DataFrame(
        {"event": event, "step": last if step is None else step, "censored": step is None}
        for event, step in events.items()
    )


def events_of_run(
    run: pd.DataFrame, known: Mapping[str, int] | None = None, plateau: float | None = None
) -> dict[str, int | None]:
    """The events of one replica, None where not reached; those that are known stand.

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
    found |= known or {}
    peak = int(np.argmax(losses)) if len(steps) else 0
    if (losses[peak + 1 :] < losses[peak : peak + 1]).any():
        found["validation_loss_peak"] = int(steps[peak])
    memorised = found["memorised"]
    if memorised is None:
        fits = train["accuracy"].to_numpy() >= 0.99
        three_in_a_row = np.flatnonzero(fits[:-2] & fits[1:-1] & fits[2:])
        if not len(three_in_a_row):
            return found
        memorised = found["memorised"] = int(steps[three_in_a_row[0]])
    if plateau is None:
        plateau = _plateau(run, memorised)
    for event, share in (("onset", 0.05), ("generalised", 0.99)):
        is_reached = (steps >= memorised) & (accuracy >= plateau + share * (1 - plateau))
        if found[event] is None and is_reached.any():
            found[event] = int(steps[np.argmax(is_reached)])
    return found


def _plateau(run: pd.DataFrame, memorised: int) -> float:
    """The mean validation accuracy of the three evaluations at which it is memorised."""
    rows = run[(run["split"] == "validation") & (run["step"] >= memorised)]
    return float(rows.sort_values("step")["accuracy"].iloc[:3].mean())
