"""Events of a run, such as memorisation: their steps, found in its metrics by the definitions that the claims use."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

EVENTS = ("memorised", "validation_loss_peak", "onset", "generalised")
"""Names of the events of a run."""

BRANCHED = "branched"
"""Name of the event at which a branch leaves its parent."""
GENERALISED = 0.99
"""Share of the way from the plateau to full validation accuracy at which a replica has generalised."""
LEARNED = ("memorised", "onset", "generalised")
"""Events that a branch keeps from its parent if they came before it left."""


def find(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the table `events` of a table `metrics`: one row per replica and event.

    An event that never came is censored. Its step is then the last evaluation before divergence, or else the last one.
    The event came between the evaluations `after` and `step`; `after` is −1 if no evaluation came before.
    """
    rows = []
    for (condition, replica), run in metrics.groupby(["condition", "replica"], observed=True, sort=False):
        rows.append(_rows(run, events_of_run(run)).assign(condition=condition, replica=replica))
    return pd.concat(rows, ignore_index=True)


def find_of_branch(metrics: pd.DataFrame, parent: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the table `events` of a branch.

    A replica of a branch has its parent's history until it leaves the parent. The event `branched` is the step at which
    it leaves. What the parent had learned by then stays learned, even if the branch unlearns it. If a replica never
    left, all its events are censored.

    Args:
        metrics: table `metrics` of the branch.
        parent: table `metrics` of its parent.
        condition: name of the branch.
    """
    rows = []
    for replica, before in parent.groupby("replica", sort=False):
        run = metrics[metrics["replica"] == replica]
        if len(run):
            start = int(run["step"].min())
            history = pd.concat([before[before["step"] < start], run], ignore_index=True)
            of_parent = events_of_run(before)
            kept = {event: step for event in LEARNED if (step := of_parent[event]) is not None and step <= start}
            # The plateau stays the parent's too: the branch may leave within the three evaluations that define it.
            plateau = _plateau(before, kept["memorised"]) if "memorised" in kept else None
            events = _rows(history, {BRANCHED: start, **events_of_run(history, kept, plateau)})
        else:
            events = _rows(before, dict.fromkeys((BRANCHED, *EVENTS)))
        rows.append(events.assign(condition=condition, replica=replica))
    return pd.concat(rows, ignore_index=True)


def _rows(run: pd.DataFrame, events: Mapping[str, int | None]) -> pd.DataFrame:
    """Return one row per event of a replica, given its step or None."""
    evaluated = np.unique(run.loc[~run["diverged"], "step"]).tolist()
    last = evaluated[-1] if evaluated else 0
    rows = []
    for event, step in events.items():
        after = last if step is None else max((before for before in evaluated if before < step), default=-1)
        rows.append({"event": event, "after": after, "step": last if step is None else step, "censored": step is None})
    return pd.DataFrame(rows)


def events_of_run(
    run: pd.DataFrame, known: Mapping[str, int] | None = None, plateau: float | None = None
) -> dict[str, int | None]:
    """Return the step of each event of one replica, or None if it never came.

    - `memorised`: the first of three consecutive evaluations with training accuracy ≥ 0.99. The plateau is the mean
      validation accuracy of these three.
    - `onset`: the first evaluation, from `memorised` on, with validation accuracy ≥ plateau + 5 % of (1 − plateau).
    - `generalised`: the same with 99 %.
    - `validation_loss_peak`: the evaluation with the largest validation loss, if some later loss is smaller.

    Evaluations after a run diverged are ignored.

    Args:
        run: rows of `metrics` of one replica.
        known: events that are already known; they are kept.
        plateau: plateau, if it is already known.
    """
    run = run[~run["diverged"]]
    train = run[run["split"] == "train"].sort_values("step")
    validation = run[run["split"] == "validation"].sort_values("step")
    steps = train["step"].to_numpy()
    losses, accuracy = validation["loss"].to_numpy(), validation["accuracy"].to_numpy()
    events: dict[str, int | None] = dict.fromkeys(EVENTS)
    events |= known or {}
    peak = int(np.argmax(losses)) if len(steps) else 0
    # Slices, not numbers: both are empty, and the comparison is false, if there is no evaluation.
    if (losses[peak + 1 :] < losses[peak : peak + 1]).any():
        events["validation_loss_peak"] = int(steps[peak])
    memorised = events["memorised"]
    if memorised is None:
        fits = train["accuracy"].to_numpy() >= 0.99
        three_in_a_row = np.flatnonzero(fits[:-2] & fits[1:-1] & fits[2:])
        if not len(three_in_a_row):
            return events
        memorised = events["memorised"] = int(steps[three_in_a_row[0]])
    if plateau is None:
        plateau = _plateau(run, memorised)
    for event, share in (("onset", 0.05), ("generalised", GENERALISED)):
        is_reached = (steps >= memorised) & (accuracy >= plateau + share * (1 - plateau))
        if events[event] is None and is_reached.any():
            events[event] = int(steps[np.argmax(is_reached)])
    return events


def _plateau(run: pd.DataFrame, memorised: int) -> float:
    """Return the mean validation accuracy of the first three evaluations from step `memorised` on."""
    rows = run[(run["split"] == "validation") & (run["step"] >= memorised)]
    return float(rows.sort_values("step")["accuracy"].iloc[:3].mean())
