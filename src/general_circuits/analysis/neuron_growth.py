"""Does a neuron's generality say how it will grow, beyond its saliency, norm and age? What figures and claims read.

Growth is regressed on all of these at once. Predictors are standardised, and growth is taken from its mean, over the
neurons of one checkpoint, so that only neurons of one network at one moment are compared; the checkpoints of a phase
are pooled. Intervals belong over replicas: the neurons of one network are not independent.
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
"""Steps that growth is measured over, at least: to the first checkpoint from there on."""

RESPONSES = {"weights": "weight_norm", "saliency": "saliency"}
"""What grows, and its column. The registered one first."""

PREDICTORS = ("generality", "saliency", "norm", "age")
ALONE = "generality alone"
"""Generality's slope without the other predictors."""

PHASES = {
    "before memorisation": (None, "memorised"),
    "plateau": ("memorised", "onset"),
    "onset": ("onset", "generalised"),
    "after": ("generalised", None),
}
"""From which event on, and up to which one, growth is followed."""

EVENTS = ["memorised", "onset", "generalised"]
FIFTHS = 5
PER = 1000
"""Growth is per so many steps."""


@dataclass(frozen=True)
class Neurons:
    """The neurons of one checkpoint and how they grew to another; of saliency, those that still have any there.

    Attributes:
        step: the checkpoint's.
        end: that of the checkpoint that they are followed to.
        predictors: z-scored over them, in the order of `PREDICTORS`; 0 where all are alike: (neuron, predictor).
        growth: change of the log per `PER` steps, minus its mean over them, (neuron).
    """

    step: int
    end: int
    predictors: Array
    growth: Array


def slopes(updates: pd.DataFrame, events: pd.DataFrame, response: str) -> pd.DataFrame:
    """How growth goes with each predictor, by condition, replica and phase.

    Args:
        updates: the table, or conditions of it; of each, the last layer counts.
        events: the table. Phases are those of the condition `grokking`, whose steps every other condition is read at,
            replica by replica; both of a phase's events must have come.
        response: what grows, of `RESPONSES`.

    Returns:
        One row for each condition, replica, phase and predictor (`PREDICTORS`, and `ALONE`): `slope`, growth per 1,000
        steps and standard deviation of the predictor, others held; `neurons`, how many rows it is of, and `steps`, of
        how many checkpoints. Where a predictor does not differ between neurons its slope is NaN, and the others' are
        without it; where rows are too few, all are NaN.
    """
    rows = []
    for names, inside in _phases(updates, events, response):
        counts = {"neurons": sum(len(neurons.growth) for neurons in inside), "steps": len(inside)}
        rows += [{**names, "predictor": name, "slope": slope, **counts} for name, slope in _fit(inside).items()]
    return pd.DataFrame(rows, columns=["condition", "replica", "phase", "predictor", "slope", "neurons", "steps"])


def fifths(updates: pd.DataFrame, events: pd.DataFrame, response: str) -> pd.DataFrame:
    """Growth against generality, whatever its shape: mean growth in each fifth of a checkpoint's neurons by generality.

    Args are those of `slopes`.

    Returns:
        One row for each condition, replica, phase and `fifth`, 1 to 5: `growth` per 1,000 steps, from the mean over all
        neurons of the checkpoint; NaN where there are no neurons.
    """
    rows = []
    for names, inside in _phases(updates, events, response):
        grown: list[list[Array]] = [[] for _ in range(FIFTHS)]
        for neurons in inside:
            # Equal generality is one place in the order, so that no other order decides.
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
    """Each condition, replica and phase by name, and its windows."""
    known = steps_of_events(events, "grokking").reindex(columns=EVENTS)
    for (condition, replica), run in in_last_layer(updates).groupby(["condition", "replica"], observed=True):
        checkpoints = list(_checkpoints(run, RESPONSES[response]))
        steps = known.loc[replica] if replica in known.index else pd.Series(np.nan, index=EVENTS)
        for phase in PHASES:
            inside = _apart([neurons for neurons in checkpoints if is_in(phase, neurons, steps)])
            yield {"condition": condition, "replica": replica, "phase": phase}, inside


def is_in(phase: str, neurons: Neurons, events: Mapping[str, float]) -> bool:
    """Whether they are followed within a phase, by the steps of the events, NaN for those that never came."""
    start, end = PHASES[phase]
    return (start is None or neurons.step >= events[start]) and (end is None or neurons.end <= events[end])


def _apart(windows: list[Neurons]) -> list[Neurons]:
    """Those of ascending windows that do not overlap: checkpoints lie closer than growth is measured over."""
    kept: list[Neurons] = []
    for window in windows:
        if not kept or window.step >= kept[-1].end:
            kept.append(window)
    return kept


def ages(steps: Array, saliency: Array) -> Array:
    """For how many steps each neuron's saliency has been at or above the layer's median, without a break, by then.

    Args:
        steps: ascending, (step).
        saliency: (step, neuron).

    Returns:
        (step, neuron); 0 where it is below, and where it has only now come up.
    """
    is_high = saliency >= np.median(saliency, axis=1, keepdims=True)
    found = np.zeros(saliency.shape)
    for i in range(1, len(steps)):
        lasts = is_high[i] & is_high[i - 1]
        found[i] = np.where(lasts, found[i - 1] + steps[i] - steps[i - 1], 0.0)
    return found


def _checkpoints(run: pd.DataFrame, response: str) -> Iterator[Neurons]:
    """One run's checkpoints that have another `HORIZON` steps later.

    Left out are neurons without saliency or norm at the first, or without what grows at the other.
    """
    columns = ("generality", "saliency", "weight_norm")
    wide = {name: run.pivot(index="step", columns="neuron", values=name) for name in columns}
    steps = wide["saliency"].index.to_numpy(dtype=np.float64)
    values = {name: table.to_numpy(dtype=np.float64) for name, table in wide.items()}
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
        predictors = np.stack(
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
    """Minus its mean and over its standard deviation, (neuron, predictor); 0 where that is nothing but rounding."""
    centred = predictors - predictors.mean(axis=0)
    spread = centred.std(axis=0)
    is_alike = spread <= 1e-9 * np.abs(predictors).max(axis=0)
    return np.where(is_alike, 0.0, centred / np.where(is_alike, 1.0, spread))


def _fit(checkpoints: list[Neurons]) -> dict[str, float]:
    """Least squares of growth on all predictors that differ, and on generality alone; by predictor."""
    found = dict.fromkeys((*PREDICTORS, ALONE), np.nan)
    if not checkpoints:
        return found
    x = np.concatenate([neurons.predictors for neurons in checkpoints])
    y = np.concatenate([neurons.growth for neurons in checkpoints])
    differs = np.flatnonzero(x.any(axis=0))
    free = len(y) - len(checkpoints)  # each checkpoint's mean is taken off
    if free > len(differs):
        together, _, rank, _ = np.linalg.lstsq(x[:, differs], y, rcond=None)
        if rank == len(differs):
            found |= {PREDICTORS[i]: float(slope) for i, slope in zip(differs, together, strict=True)}
    generality = x[:, 0]
    if generality.any() and free > 1:
        found[ALONE] = float(generality @ y / (generality @ generality))
    return found
