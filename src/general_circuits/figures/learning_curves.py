"""Accuracy or loss over training in every condition, on log and linear axes."""

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
"""Conditions side by side; more go below."""
TITLE_WIDTH = 65
"""Letters that fit side by side."""

LINES = {"train": (0, (3, 1.5)), "validation": "-"}
NAMES = {"train": "training", "validation": "validation"}


def draw(tables: Mapping[str, pd.DataFrame], measure: str) -> Figure:
    """One column per condition, log steps above linear ones, of `accuracy` or `loss`; from `metrics` and `events`.

    Conditions that were not trained have no curve.
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
    medians = {
        condition: pd.DataFrame({split: table.median(axis=1) for split, table in curves.items()})
        for condition, curves in replicas.items()
    }
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
    """When each condition memorised and generalised, and where it ended."""
    metrics = tables["metrics"]
    sentences = []
    for condition in metrics["condition"].cat.categories:
        steps = steps_of_events(tables["events"], condition)
        rows = metrics[metrics["condition"] == condition]
        ends = rows[rows["step"] == rows["step"].max()]
        form = "{:.2f}" if measure == "accuracy" else "{:.2g}"
        last = {split: captions.span(ends.loc[ends["split"] == split, measure], form) for split in LINES}
        outcome = (
            f"after the last step, training {measure} {last['train']} and validation {measure} {last['validation']}"
        )
        sentences.append(
            f"{style.readable(condition)}: memorised {captions.reached(steps['memorised'])}, onset"
            f" {captions.reached(steps['onset'])}, generalised {captions.reached(steps['generalised'])}; {outcome}."
        )
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _trained(metrics: pd.DataFrame) -> list[str]:
    """Conditions with more than their first step; all, where none has."""
    last = metrics.groupby("condition", observed=False)["step"].max()
    return list(last.index[last > 0]) or list(last.index)


def _replicas(rows: pd.DataFrame, measure: str) -> dict[str, pd.DataFrame]:
    """One condition's curves by split: steps × replicas."""
    return {split: style.wide(rows[rows["split"] == split], measure) for split in LINES}


def _apart(medians: pd.DataFrame, measure: str) -> pd.Series:
    """How far apart the two lines are drawn, by step; 0 where one of them is not."""
    drawn = medians if measure == "accuracy" else np.log10(medians.where(medians > 0))
    return (drawn["train"] - drawn["validation"]).abs().replace(np.inf, np.nan).fillna(0.0)


def _name(axes: Axes, medians: pd.DataFrame, measure: str, colour: object) -> None:
    """Name both lines between them, half-way along where they are about as far apart as they get."""
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
            path_effects=[patheffects.withStroke(linewidth=2, foreground="white")],  # where replicas pass behind it
        )
