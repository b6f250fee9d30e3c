"""Growth of neurons, regressed on their generality, saliency, norm and age; for figures.

The question is whether a neuron's generality predicts its growth beyond the other three. Predictors are standardised
over the neurons of one checkpoint, and growth is taken from its mean over them. So only neurons of one network at one
moment are compared. The checkpoints of a phase are pooled. Intervals must be taken over replicas, because the neurons
of one network are not independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from general_circuits.analysis.estimates import Array
from general_circuits.analysis.windows import steps_of_events
from general_circuits.registered import in_last_layer

HORIZON = 100
"""Least number of steps that growth is measured over; it ends at the first checkpoint that is so far away."""

RESPONSES = {"weights": "weight_norm", "saliency": "saliency"}
"""Columns whose growth can be measured, by name; the registered one first."""

PREDICTORS = ("generality", "saliency", "norm", "age")
ALONE = "generality alone"
"""Name of generality's slope without the other predictors."""

PHASES = {
    "before memorisation": (None, "memorised"),
    "plateau": ("memorised", "onset"),
    "onset": ("onset", "generalised"),
    "after": ("generalised", None),
}
"""Phases of training: the event at which each begins, and the event at which it ends."""

EVENTS = ["memorised", "onset", "generalised"]
FIFTHS = 5
PER = 1000
"""Number of steps per which growth is given."""


@dataclass(frozen=True)
class Neurons:
    """Neurons of one checkpoint, and their growth until a later one.

    Attributes:
        step: step of the first checkpoint.
        end: step of the later checkpoint.
        predictors: (neuron, predictor), in the order of `PREDICTORS`; z-scored over the neurons, 0 where all neurons
            have the same value.
        growth: change of the log per `PER` steps, minus its mean over the neurons, (neuron).
    """

    step: int
    end: int
    predictors: Array
    growth: Array


def slopes(updates: pd.DataFrame, events: pd.DataFrame, response: str) -> pd.DataFrame:
    """Regress growth on all predictors, in each condition, replica and phase.

    Args:
        updates: the table `updates`, or some of its conditions; only the last layer of each condition counts.
        events: the table `events`. Every condition is read at the events of `grokking`, replica by replica. A phase
            counts only if both of its events came.
        response: the name of the growing column, a key of `RESPONSES`.

    Returns:
        One row for each condition, replica, phase and predictor (`PREDICTORS`, and `ALONE`). The slope is growth per
        1,000 steps and per standard deviation of the predictor, with the others held fixed. The column `neurons` counts
        the rows of the regression, the column `steps` its checkpoints. A predictor without spread has the slope NaN,
        and is left out of the others' regression. All slopes are NaN where there are too few rows.
    """
    rows = []
    for names, inside in _phases(updates, events, response):
        counts = {"neurons": sum(len(neurons.growth) for neurons in inside), "steps": len(inside)}
        rows += [{**names, "predictor": name, "slope": slope, **counts} for name, slope in _fit(inside).items()]
    return pd.DataFrame(rows, columns=["condition", "replica", "phase", "predictor", "slope", "neurons", "steps"])


def fifths(updates: pd.DataFrame, events: pd.DataFrame, response: str) -> pd.DataFrame:
    """Return mean growth in each fifth of a checkpoint's neurons, sorted by generality; this assumes no straight line.

    Arguments are the same as for `slopes`.

    Returns:
        One row for each condition, replica, phase and `fifth`, 1 to 5. The growth is per 1,000 steps, and the mean over
        all neurons of the checkpoint is taken off. It is NaN where there are no neurons.
    """
    rows = []
    for names, inside in _phases(updates, events, response):
        grown: list[list[Array]] = [[] for _ in range(FIFTHS)]
        for neurons in inside:
            # Neurons of equal generality share one rank, so the order of rows does not decide their fifth.
            places = (rankdata(neurons.predictors[:, 0]) - 0.5) / len(neurons.growth)
            for fifth in range(FIFTHS):
                grown[fifth].append(neurons.growth[(places * FIFTHS).astype(int) == fifth])
        for fifth, parts in enumerate(grown, start=1):
            values = np.concatenate(parts) if parts else np.array([])
            rows.append({**names, "fifth": fifth, "growth": float(values.mean()) if len(values) else np.nan})
    return pd.DataFrame(rows, columns=["condition", "replica", "phase", "fifth", "growth"])


def _phases(
    updates: pd.DataFrame, events: pd.DataFrame, response: str
) -> Iterator[tuple[dict[str, object], list[Neurons]]]:
    """Yield the names of each condition, replica and phase, with the windows of growth that lie inside the phase."""
    known = steps_of_events(events, "grokking").reindex(columns=EVENTS)
    for (condition, replica), run in in_last_layer(updates).groupby(["condition", "replica"], observed=True):
        checkpoints = list(_checkpoints(run, RESPONSES[response]))
        steps = known.loc[replica] if replica in known.index else pd.Series(np.nan, index=EVENTS)
        for phase in PHASES:
            inside = _apart([neurons for neurons in checkpoints if is_in(phase, neurons, steps)])
            yield {"condition": condition, "replica": replica, "phase": phase}, inside


def is_in(phase: str, neurons: Neurons, events: Mapping[str, float]) -> bool:
    """Tell whether a window of growth lies within a phase.

    Args:
        phase: a key of `PHASES`.
        neurons: the window.
        events: steps of the events, NaN for an event that never came.
    """
    start, end = PHASES[phase]
    return (start is None or neurons.step >= events[start]) and (end is None or neurons.end <= events[end])


def _apart(windows: list[Neurons]) -> list[Neurons]:
    """Drop windows that overlap an earlier one; checkpoints lie closer together than growth is measured over."""
    kept: list[Neurons] = []
    for window in windows:
        if not kept or window.step >= kept[-1].end:
            kept.append(window)
    return kept


def ages(steps: Array, saliency: Array) -> Array:
    """Return for how many steps in a row each neuron's saliency has been at or above the layer's median.

    Args:
        steps: ascending, (step).
        saliency: (step, neuron).

    Returns:
        (step, neuron); 0 where saliency is below the median, and at the first step at which it is not.
    """
    is_high = saliency >= np.median(saliency, axis=1, keepdims=True)
    age = np.zeros(saliency.shape)
    for i in range(1, len(steps)):
        lasts = is_high[i] & is_high[i - 1]
        age[i] = np.where(lasts, age[i - 1] + steps[i] - steps[i - 1], 0.0)
    return age


def _checkpoints(run: pd.DataFrame, response: str) -> Iterator[Neurons]:
    """Yield one run's windows of growth: each checkpoint with the first one at least `HORIZON` steps later.

    A neuron is left out where a logarithm has no value above 0. That concerns its saliency and norm at the first
    checkpoint, and the growing column at the later one.
    """
    columns = ("generality", "saliency", "weight_norm")
    wide = {name: run.pivot(index="step", columns="neuron", values=name) for name in columns}
    steps = wide["saliency"].index.to_numpy(dtype=np.float64)
    values = {name: table.to_numpy(dtype=np.float64) for name, table in wide.items()}  # (step, neuron) each
    age = ages(steps, values["saliency"])
    later = np.searchsorted(steps, steps + HORIZON)
    for i, j in enumerate(later):
        if j == len(steps):
            return
        ends = np.stack([values["saliency"][i], values["weight_norm"][i], values[response][j]])
        kept = (np.isfinite(ends) & (ends > 0)).all(axis=0) & np.isfinite(values["generality"][i])
        if not kept.any():
            continue
        grown = np.log(values[response][j, kept]) - np.log(values[response][i, kept])
        growth = PER * grown / (steps[j] - steps[i])
        predictors = np.stack(  # (neuron, predictor)
            [
                values["generality"][i, kept],
                np.log(values["saliency"][i, kept]),
                np.log(values["weight_norm"][i, kept]),
                np.log1p(age[i, kept]),
            ],
            axis=1,
        )
        yield Neurons(int(steps[i]), int(steps[j]), _standardised(predictors), growth - growth.mean())


def _standardised(predictors: Array) -> Array:
    """Return z-scores over neurons, (neuron, predictor); 0 for a predictor whose spread is only rounding."""
    centred = predictors - predictors.mean(axis=0)
    spread = centred.std(axis=0)
    is_alike = spread <= 1e-9 * np.abs(predictors).max(axis=0)
    return np.where(is_alike, 0.0, centred / np.where(is_alike, 1.0, spread))


def _fit(checkpoints: list[Neurons]) -> dict[str, float]:
    """Fit growth by least squares on all predictors with spread, and on generality alone; slopes by predictor."""
    fitted = dict.fromkeys((*PREDICTORS, ALONE), np.nan)
    if not checkpoints:
        return fitted
    x = np.concatenate([neurons.predictors for neurons in checkpoints])  # (row, predictor)
    y = np.concatenate([neurons.growth for neurons in checkpoints])  # (row)
    differs = np.flatnonzero(x.any(axis=0))
    # Both sides are centred within each checkpoint, so no intercept is fitted and each mean costs a degree of freedom.
    free = len(y) - len(checkpoints)
    if free > len(differs):
        together, _, rank, _ = np.linalg.lstsq(x[:, differs], y, rcond=None)
        if rank == len(differs):  # else predictors follow from one another, and no slope is determined
            fitted |= {PREDICTORS[i]: float(slope) for i, slope in zip(differs, together, strict=True)}
    generality = x[:, 0]
    if generality.any() and free > 1:
        fitted[ALONE] = float(generality @ y / (generality @ generality))
    return fitted
