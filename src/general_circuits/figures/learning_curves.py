"""Accuracy or loss over training in every condition, on log and on linear axes of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from general_circuits.analysis.windows import steps_of_events
from general_circuits.figures import captions, style

COLUMNS = 5
"""Most conditions side by side; more go below."""
TITLE_WIDTH = 65
"""Letters of conditions' names that fit side by side."""

LINES = {"train": (0, (3, 1.5)), "validation": "-"}
NAMES = {"train": "training", "validation": "validation"}


def draw(tables: Mapping[str, pd.DataFrame], measure: str) -> Figure:
    """Draw `accuracy` or `loss` in one column per condition, log steps above linear ones.

    Conditions that were not trained have no column. Reads `metrics` and `events`.
    """
    metrics, events = tables["metrics"], tables["events"]
    colours = style.condition_colours(list(metrics["condition"].cat.categories))
    conditions = _trained(metrics)
    columns, bands = min(COLUMNS, len(conditions)), math.ceil(len(conditions) / COLUMNS)
    figure, grid = plt.subplots(2 * bands, columns, figsize=(style.WIDTH, 3.4 * bands), sharey=True, squeeze=False)
    places = [grid[2 * band : 2 * band + 2, column] for band in range(bands) for column in range(columns)]
    for axes in np.ravel(places[len(conditions) :]):
        axes.set_visible(False)
    replicas = {condition: _replicas(metrics[metrics["condition"] == condition], measure) for condition in conditions}
    # Medians over replicas: step × split, by condition. A replica that ended early keeps its last value there. Without
    # it, the median would fall back to the replicas that learn late.
    medians = {
        condition: pd.DataFrame({split: table.ffill().median(axis=1) for split, table in curves.items()})
        for condition, curves in replicas.items()
    }
    # Lines are named once, in the condition whose two curves are furthest apart.
    clearest = max(conditions, key=lambda condition: _apart(medians[condition], measure).mean())
    for place, condition in zip(places, conditions, strict=False):
        last = medians[condition].index.max()
        for axes, is_log in zip(place, (True, False), strict=True):
            for split, line in LINES.items():
                table, median = replicas[condition][split], medians[condition][split]
                for replica in table:
                    axes.plot(table.index, table[replica], linestyle=line, color=colours[condition], lw=0.4, alpha=0.6)
                axes.plot(median.index, median, linestyle=line, color=colours[condition], linewidth=1.5)
            if measure == "accuracy":
                axes.set_ylim(-0.02, 1.02)
            else:
                axes.set_yscale("log")
            if is_log:
                style.log_steps(axes, last)
                style.name_column(axes, condition, colours[condition], TITLE_WIDTH // columns, pad=22)
            else:
                axes.set_xlim(0, last)
                style.linear_steps(axes, ticks=max(2, 8 // columns))
                axes.set_xlabel("step")
            style.mark_events(axes, style.median_steps(events, condition), names=is_log)
        if condition == clearest:
            _name(place[1], medians[condition], measure, colours[condition])
    for axes, kind in zip(grid[:, 0], ("log", "linear") * bands, strict=True):
        axes.set_ylabel(f"{measure}\n({kind} steps)")
    return figure


def describe(tables: Mapping[str, pd.DataFrame], measure: str) -> str:
    """Give the steps at which each condition memorised and generalised, and where validation ended."""
    metrics = tables["metrics"]
    times, ends = [], []
    form = "{:.2f}" if measure == "accuracy" else "{:.2g}"
    for condition in metrics["condition"].cat.categories:
        steps = steps_of_events(tables["events"], condition)
        rows = metrics[(metrics["condition"] == condition) & (metrics["split"] == "validation")]
        last = captions.span(rows.sort_values("step").groupby("replica")[measure].last(), form)
        name = style.readable(condition)
        times.append(
            f"{name} memorised {captions.reached(steps['memorised'])} and generalised"
            f" {captions.reached(steps['generalised'])}"
        )
        ends.append(f"{name} {last}")
    sentence = "; ".join(times)
    return f"{sentence[0].upper()}{sentence[1:]}. Validation {measure} after the last step: {'; '.join(ends)}."


def _trained(metrics: pd.DataFrame) -> list[str]:
    """Return the conditions that have more than their first step, or all if none has."""
    last = metrics.groupby("condition", observed=False)["step"].max()
    return list(last.index[last > 0]) or list(last.index)


def _replicas(rows: pd.DataFrame, measure: str) -> dict[str, pd.DataFrame]:
    """Return one condition's curves, steps × replicas, by split."""
    return {split: style.wide(rows[rows["split"] == split], measure) for split in LINES}


def _apart(medians: pd.DataFrame, measure: str) -> pd.Series:
    """Return the distance between the two lines as drawn, by step; 0 where one of them has no place."""
    drawn = medians if measure == "accuracy" else np.log10(medians.where(medians > 0))
    return (drawn["train"] - drawn["validation"]).abs().replace(np.inf, np.nan).fillna(0.0)


def _name(axes: Axes, medians: pd.DataFrame, measure: str, colour: object) -> None:
    """Write the names of both lines between them, midway along the stretch where they are furthest apart."""
    apart = _apart(medians, measure)
    if not apart.max() > 0:
        return
    far = apart.index[apart >= 0.8 * apart.max()]
    step = far[np.abs(far - (far[0] + far[-1]) / 2).argmin()]
    for split, name in NAMES.items():
        is_upper = medians.loc[step, split] == medians.loc[step].max()
        axes.annotate(
            name,
            (step, medians.loc[step, split]),
            xytext=(0, -4 if is_upper else 4),
            textcoords="offset points",
            ha="center",
            va="top" if is_upper else "bottom",
            fontsize="x-small",
            color=colour,
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],  # replicas may pass behind it
        )
